//! What is exported evaluates in-process as it does here.

use std::sync::Arc;

use flag_core::flagd::{Effect, Imported, document, export};
use flag_core::{Attributes, Audience, Definition, Flag, Reason};
use proptest::prelude::*;
use vocab::Pattern;

use crate::forms::{Answer, ask, attributes, flag, full, keys, short};

/// The same flag, out of its own export.
fn reread(flag: &Flag, effect: &Effect) -> Flag {
    let imported = Imported::of(export(flag, effect)).expect("an export can be read");
    Flag { definition: Definition::Imported(Arc::new(imported)), paused: false, ..flag.clone() }
}

/// Our reasons are flagd's two: decided by the rule, or left to the default.
fn as_flagd(answer: Answer) -> Answer {
    let (value, variant, reason) = answer;
    let reason = if reason == Reason::Default { Reason::Default } else { Reason::Targeted };
    (value, variant, reason)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_short_form_and_its_export_agree(
        audience in short(), key in keys(), attributes in attributes(), paused in any::<bool>()
    ) {
        let flag = Flag { paused, ..flag(audience) };
        let exported = reread(&flag, &Effect::default());
        let here = ask(&flag, key.as_deref(), &attributes, false);
        let there = ask(&exported, key.as_deref(), &attributes, false);
        prop_assert_eq!((&here.0, &here.1), (&there.0, &there.1), "{:?}", here.2);
        if !paused {
            prop_assert_eq!(as_flagd(here), there);
        }
    }

    #[test]
    fn a_full_form_and_its_export_agree(
        audience in full(), key in keys(), attributes in attributes()
    ) {
        let flag = flag(audience);
        let exported = reread(&flag, &Effect::default());
        let here = ask(&flag, key.as_deref(), &attributes, false);
        let there = ask(&exported, key.as_deref(), &attributes, false);
        prop_assert_eq!(as_flagd(here), there);
    }

    #[test]
    fn whom_a_kill_switch_stops_gets_the_default_variant_in_the_export_too(
        audience in full(), key in keys(), attributes in attributes(), everybody in any::<bool>()
    ) {
        let flag = flag(audience);
        let stopped = Pattern::new("ws-1*").expect("made to be valid");
        let hit = everybody || key.as_deref().is_some_and(|key| stopped.matches(key));
        let exported = reread(&flag, &Effect { killed: everybody, stopped: vec![stopped] });
        let here = ask(&flag, key.as_deref(), &attributes, hit);
        let there = ask(&exported, key.as_deref(), &attributes, false);
        prop_assert_eq!((here.0, here.1), (there.0, there.1));
    }
}

#[test]
fn an_imported_definition_is_exported_as_it_came_and_off_where_it_is_killed() {
    let source = serde_json::json!({
        "state": "ENABLED", "variants": {"yes": true, "no": false}, "defaultVariant": "yes",
    });
    let imported =
        Definition::Imported(Arc::new(Imported::of(source.clone()).expect("made to be valid")));
    let flag = flag(imported);
    assert_eq!(export(&flag, &Effect::default()), source);
    let off =
        |effect: &Effect, key| ask(&reread(&flag, effect), Some(key), &Attributes::new(), false).1;
    let killed = Effect { killed: true, stopped: Vec::new() };
    assert_eq!(off(&killed, "ws-1").as_deref(), Some("no"));
    let some =
        Effect { killed: false, stopped: vec![Pattern::new("ws-1").expect("made to be valid")] };
    assert_eq!(off(&some, "ws-1").as_deref(), Some("no"));
    assert_eq!(off(&some, "ws-2").as_deref(), Some("yes"));
}

#[test]
fn a_document_has_the_form_that_flagd_s_schema_asks_for() {
    let one = flag(Audience { enabled: true, ..Audience::default() });
    let written =
        document([("f".to_owned(), export(&one, &Effect::default()))], &Attributes::new());
    assert_eq!(written["$schema"], "https://flagd.dev/schema/v0/flags.json");
    assert_eq!(written["flags"]["f"]["state"], "ENABLED");
    assert_eq!(written["flags"]["f"]["defaultVariant"], "off");
    let shares = serde_json::json!({"fractional": [["on", 0], ["off", 10_000]]});
    assert_eq!(written["flags"]["f"]["targeting"], shares);
    let read = flag_core::flagd::bundle(&written.to_string()).expect("made to be valid");
    assert_eq!(read.len(), 1);
}
