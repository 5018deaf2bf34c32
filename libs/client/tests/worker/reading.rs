//! Reading the switch, as often as a worker does anything.

use contracts::killswitch::Scope;
use contracts::killswitch::scope::Kind;
use killswitch_core::Target;
use vocab::PipelineId;

use crate::kill_fake::{engaged, scope};
use crate::platform::{PIPELINE, Platform, workspace};

#[tokio::test(flavor = "multi_thread")]
async fn reading_the_switch_allocates_nothing() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    let (pipeline, workspace) = (PipelineId::new(PIPELINE).unwrap(), workspace("us-1"));
    let target = Target { pipeline: &pipeline, phase: None, workspace: &workspace };
    let kills = worker.kills();
    let killed = || (0..1_000).filter(|_| kills.is_killed(target)).count();
    let allocations = |killed_all: usize| {
        let mut counted = 0;
        let seen = allocation_counter::measure(|| counted = killed());
        assert_eq!(counted, killed_all);
        seen.count_total
    };
    let seen = allocation_counter::measure(|| drop(Box::new(counted_at_all())));
    assert_eq!(seen.count_total, 1, "allocations are counted");
    assert_eq!(allocations(0), 0, "while nothing is engaged");
    let other = Scope { workspace_pattern: "eu-*".to_owned(), ..scope(Kind::Workspace) };
    platform.kills.say(1, vec![engaged(1, Some(other))]);
    platform.acknowledged(1).await;
    assert!(!kills.is_killed(target)); // A thread's first look at the whole state registers it.
    assert_eq!(allocations(0), 0, "while another scope is engaged");
    platform.kills.say(2, vec![engaged(2, Some(scope(Kind::Pipeline)))]);
    platform.acknowledged(2).await;
    assert_eq!(allocations(1_000), 0, "while it is killed");
}

fn counted_at_all() -> u64 {
    std::hint::black_box(7)
}
