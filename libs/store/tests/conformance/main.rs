//! One suite for both stores: what a caller may rely on, whichever is behind the traits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

/// Runs each rule on a store of its own, once embedded and once on Redis.
macro_rules! on_both_stores {
    ($($rule:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $rule() {
                    super::$rule(&crate::site::Site::embedded()).await;
                }
            )+
        }

        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $rule() {
                    super::$rule(&crate::site::Site::redis().await).await;
                }
            )+
        }
    };
}

mod alarm;
mod counters;
mod embedded_only;
mod journal;
mod leases;
mod quotas;
mod redis_only;
mod replica;
mod site;
