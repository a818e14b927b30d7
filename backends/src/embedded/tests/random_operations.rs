//! Random operations on hits, compared with a model.

use proptest::prelude::*;

use super::crashable_store::{CrashableStore, Disk, Memory};
use super::model::{Run, TOKENS};
use crate::settings::QueueLimits;

#[derive(Debug, Clone, Copy)]
pub enum Op {
    Reserve {
        token: usize,
    },
    /// The future is dropped after its first poll.
    ReserveDropped {
        token: usize,
    },
    Renew {
        which: usize,
    },
    Finalise {
        which: usize,
    },
    Commit {
        which: usize,
    },
    Release {
        which: usize,
    },
    AdvanceClock {
        ms: u64,
    },
    Sweep,
    Crash,
    Delete {
        token: usize,
    },
    Create {
        token: usize,
    },
}

fn any_op() -> impl Strategy<Value = Op> {
    let token = 0..TOKENS.len();
    let which = 0..8usize;
    prop_oneof![
        6 => token.clone().prop_map(|token| Op::Reserve { token }),
        2 => token.clone().prop_map(|token| Op::ReserveDropped { token }),
        2 => which.clone().prop_map(|which| Op::Renew { which }),
        4 => which.clone().prop_map(|which| Op::Finalise { which }),
        4 => which.clone().prop_map(|which| Op::Commit { which }),
        2 => which.prop_map(|which| Op::Release { which }),
        3 => (50..400u64).prop_map(|ms| Op::AdvanceClock { ms }),
        2 => Just(Op::Sweep),
        1 => Just(Op::Crash),
        1 => token.clone().prop_map(|token| Op::Delete { token }),
        2 => token.prop_map(|token| Op::Create { token }),
    ]
}

fn run(disk: impl Disk + 'static, ops: Vec<Op>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut run = Run::begin(CrashableStore::new(disk, QueueLimits::default())).await;
        for op in ops {
            run.step(op).await;
            run.lapse();
            run.check().await;
        }
        run.finish().await;
    });
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(1000))]
    #[test]
    fn hits_match_the_model_in_memory(ops in proptest::collection::vec(any_op(), 1..80)) {
        run(Memory::default(), ops);
    }
}

#[cfg(feature = "sled")]
proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn hits_match_the_model_on_disk(ops in proptest::collection::vec(any_op(), 1..60)) {
        run(super::crashable_store::Files::default(), ops);
    }
}
