//! One suite for every store: what a caller may rely on, whichever is behind the traits.

#![recursion_limit = "256"] // The futures of whole suites are deep.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

/// Runs each rule on a store of its own: embedded, on Redis, on Valkey where there is one, and on
/// a cluster, emptied before each rule since it is dear to start.
macro_rules! on_every_store {
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

        mod valkey {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $rule() {
                    if let Some(site) = crate::site::Site::valkey().await {
                        super::$rule(&site).await;
                    }
                }
            )+
        }

        mod cluster {
            #[tokio::test(flavor = "multi_thread")]
            async fn every_rule() {
                let site = crate::site::Site::cluster().await;
                $(
                    crate::site::said(stringify!($rule));
                    super::$rule(&site).await;
                    site.clear().await;
                )+
            }
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
mod transfer;
