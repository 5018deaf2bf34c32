//! What is written is read back as the same, and whatever comes is read or refused.

use std::sync::Arc;

use contracts::flag as pb;
use flag_core::flagd::{Effect, Imported, export};
use flag_core::{About, Attribute, Definition, Flag, Limits};
use flag_wire::{definition, flag, wire_definition, wire_flag};
use proptest::prelude::*;
use prost::Message as _;
use vocab::Timestamp;

#[path = "../../flag-core/tests/flagd/forms.rs"]
#[expect(dead_code, reason = "made for more than is needed here")]
mod forms;

fn about() -> impl Strategy<Value = About> {
    let value = prop_oneof![
        "[a-z ]{0,10}".prop_map(Attribute::Text),
        (-1000..1000).prop_map(|number| Attribute::Number(f64::from(number) / 4.0)),
        any::<bool>().prop_map(Attribute::Truth),
    ];
    let metadata = proptest::collection::btree_map("[a-z.]{1,10}", value, 0..4);
    (".{0,20}", ".{0,20}", proptest::option::of(0_i64..4_000_000_000), metadata).prop_map(
        |(description, owner, expires, metadata)| About {
            description,
            owner,
            expires_at: expires.map(|seconds| Timestamp::from_millis(seconds * 1_000)),
            metadata,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_written_is_read_back_as_the_same(
        audience in prop_oneof![forms::short(), forms::full()],
        about in about(),
        per_day in proptest::option::of(1_u32..1_000),
        paused in any::<bool>(),
    ) {
        let limits = Limits { uploads_per_day: per_day, file_size_max_bytes: Some(7) };
        let written = Flag { about, limits, paused, ..forms::flag(audience) };
        let wire = pb::Flag::decode(wire_flag(&written).encode_to_vec().as_slice()).unwrap();
        prop_assert_eq!(flag(&wire), Ok(written.clone()));
        // And so is an imported definition.
        let imported = Imported::of(export(&written, &Effect::default())).unwrap();
        let imported = Definition::Imported(Arc::new(imported));
        prop_assert_eq!(definition("", &wire_definition(&imported)), Ok(imported));
    }

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(wire) = pb::Flag::decode(bytes.as_slice()) {
            flag(&wire).ok();
        }
        if let Ok(wire) = pb::FlagDefinition::decode(bytes.as_slice()) {
            definition("definition", &wire).ok();
        }
        if let Ok(wire) = prost_types::Struct::decode(bytes.as_slice()) {
            flag_wire::context(Some(&wire)).ok();
            flag_wire::attributes("attributes", Some(&wire)).ok();
        }
    }
}
