//! What is not as it should be is refused with code, reason and the field, and changes nothing.

use contracts::flag as pb;
use contracts::flag::attribute_test::Test;
use contracts::flag::condition::Kind as ConditionKind;
use contracts::flag::variant::Value as V;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::Code;

use crate::site::{PIPELINE, Site, ada, fields, new_flag, refused, share, text, typed};

const INVALID: (Code, &str) = (Code::InvalidArgument, "FIELD_INVALID");

fn glob(pattern: &str) -> pb::FlagDefinition {
    pb::FlagDefinition { denylist: vec![pattern.to_owned()], ..share(0) }
}

fn tested(test: pb::AttributeTest) -> pb::FlagDefinition {
    let mut definition = typed();
    let kind = Some(ConditionKind::Test(test));
    definition.rules[0].condition = Some(pb::Condition { kind });
    definition
}

fn attribute(name: &str, test: Option<Test>) -> pb::FlagDefinition {
    tested(pb::AttributeTest { attribute: name.to_owned(), test })
}

fn weighted(weights: &[(&str, i32)]) -> pb::FlagDefinition {
    let split = weights.iter().map(|(variant, weight)| pb::WeightedVariant {
        variant: (*variant).to_owned(),
        weight_basis_points: *weight,
    });
    pb::FlagDefinition { split: split.collect(), ..typed() }
}

fn valued(value: V) -> pb::FlagDefinition {
    let mut definition = typed();
    definition.variants[2].value = Some(value);
    definition
}

fn deep(levels: usize) -> pb::FlagDefinition {
    let mut condition = typed().rules.remove(0).condition.unwrap();
    for _level in 0..levels {
        condition = pb::Condition { kind: Some(ConditionKind::Not(Box::new(condition))) };
    }
    let mut definition = typed();
    definition.rules[0].condition = Some(condition);
    definition
}

fn flagd(json: &str) -> pb::FlagDefinition {
    pb::FlagDefinition { flagd_json: json.to_owned(), ..Default::default() }
}

/// Definitions that are none, and the field that says why.
fn malformed() -> Vec<(pb::FlagDefinition, &'static str)> {
    let number = |number| Some(Test::Number(pb::NumberTest { comparison: 5, number }));
    let list = prost_types::ListValue { values: vec![Value { kind: None }] };
    let boolean = |truth| pb::Variant { name: "on".into(), value: Some(V::BooleanValue(truth)) };
    vec![
        (share(10_100), "flag.definition.percentage_basis_points"),
        (glob("a*b*c"), "flag.definition.denylist[0]"),
        (glob(&"*a".repeat(60)), "flag.definition.denylist[0]"),
        (
            weighted(&[("new", 6_000), ("newest", 4_001)]),
            "flag.definition.split[1].weight_basis_points",
        ),
        (weighted(&[("new", 10_001)]), "flag.definition.split[0].weight_basis_points"),
        (weighted(&[("nobody", 1)]), "flag.definition.split[0].variant"),
        (valued(V::BooleanValue(true)), "flag.definition.variants[2].value"),
        (valued(V::StringValue("x".repeat(70_000))), "flag.definition.variants[2].value"),
        (
            pb::FlagDefinition { default_variant: "x".into(), ..typed() },
            "flag.definition.default_variant",
        ),
        (pb::FlagDefinition { on_variant: "on".into(), ..share(0) }, "flag.definition.on_variant"),
        (
            pb::FlagDefinition {
                variants: vec![boolean(true)],
                default_variant: "on".into(),
                ..Default::default()
            },
            "flag.definition.default_variant",
        ),
        (
            pb::FlagDefinition { allowlist: vec!["ws-1".into()], ..typed() },
            "flag.definition.on_variant",
        ),
        (attribute("a.b", number(1.0)), "flag.definition.rules[0].condition.test.attribute"),
        (attribute("", number(1.0)), "flag.definition.rules[0].condition.test.attribute"),
        (attribute("n", None), "flag.definition.rules[0].condition.test"),
        (attribute("n", number(f64::NAN)), "flag.definition.rules[0].condition.test.number"),
        (attribute("n", Some(Test::In(list))), "flag.definition.rules[0].condition.test.in"),
        (
            attribute("n", Some(Test::Equals(Value { kind: Some(Kind::NullValue(0)) }))),
            "flag.definition.rules[0].condition.test.equals",
        ),
        (
            attribute(
                "v",
                Some(Test::Version(pb::VersionTest { comparison: 1, version: "x".into() })),
            ),
            "flag.definition.rules[0].condition.test.version.version",
        ),
        (
            attribute("g", Some(Test::Glob("a*b*c*d".into()))),
            "flag.definition.rules[0].condition.test.glob",
        ),
        (
            flagd("{\"state\": \"ENABLED\", \"variants\": {\"on\": NaN}}"),
            "flag.definition.flagd_json",
        ),
        (flagd("{\"state\": \"ENABLED\"}"), "flag.definition.flagd_json.variants"),
        (
            flagd(
                "{\"state\":\"ENABLED\",\"variants\":{\"on\":1},\"targeting\":{\"if\":[{\"eval\":[]}]}}",
            ),
            "flag.definition.flagd_json.targeting.if[0]",
        ),
        (pb::FlagDefinition { enabled: true, ..flagd("{}") }, "flag.definition.flagd_json"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_definition_is_refused_with_the_path_of_the_field() {
    let site = Site::start().await;
    for (definition, field) in malformed() {
        let created = site.flags().create_flag(ada(new_flag("bad", definition))).await;
        refused(created, INVALID, field);
    }
    let too_deep = site.flags().create_flag(ada(new_flag("bad", deep(8)))).await;
    let status = refused(too_deep, INVALID, "");
    assert!(status.message().contains("at most 8 levels"), "{}", status.message());
    // What is too deep for the decoder is refused before anybody looks at it.
    let abyss = site.flags().create_flag(ada(new_flag("bad", deep(90)))).await.unwrap_err();
    assert_eq!(abyss.code(), Code::InvalidArgument, "{abyss}");
    let listed = site.flags().list_flags(pb::ListFlagsRequest::default()).await.unwrap();
    assert!(listed.into_inner().flags.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_document_is_refused_with_the_path_in_it() {
    let site = Site::start().await;
    let import = async |form: pb::DocumentForm, document: &str| {
        let request = pb::ImportFlagsRequest {
            form: form.into(),
            document: document.to_owned(),
            pipeline: PIPELINE.to_owned(),
            reason: "for a test".to_owned(),
            ..Default::default()
        };
        site.history().import_flags(ada(request)).await
    };
    let d7 = pb::DocumentForm::D7;
    refused(import(d7, "{").await, INVALID, "document");
    let over = "{\"f\": {\"enabled\": true, \"percentage\": 101}}";
    refused(import(d7, over).await, INVALID, "document.f.percentage");
    let no_ref = "{\"flags\": {\"f\": {\"state\": \"ENABLED\", \"variants\": {\"on\": true}, \
                  \"targeting\": {\"if\": [{\"$ref\": \"x\"}, \"on\"]}}}}";
    let missing = import(pb::DocumentForm::Flagd, no_ref).await;
    refused(missing, INVALID, "document.flags.f.targeting.if[0]");
    refused(import(pb::DocumentForm::Unspecified, "{}").await, INVALID, "form");
    refused(import(d7, &"x".repeat(3_200_000)).await, INVALID, "document");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_is_too_large_or_no_context_is_refused_with_its_attribute() {
    let site = Site::start().await;
    site.create("asked", typed()).await;
    site.knows_the_kill_switch("asked").await;
    let ask = async |attributes: Struct| {
        let request = pb::EvaluateFlagRequest {
            name: "flags/asked".to_owned(),
            workspace_id: "ws-1".to_owned(),
            attributes: Some(attributes),
        };
        site.evaluations().evaluate_flag(request).await
    };
    let long = fields(&[("tier", text(&"x".repeat(2_000)))]);
    refused(ask(long).await, INVALID, "attributes.tier");
    let nan = fields(&[("tier", Kind::NumberValue(f64::NAN))]);
    refused(ask(nan).await, INVALID, "attributes.tier");
    let nested = fields(&[("tier", Kind::StructValue(Struct::default()))]);
    refused(ask(nested).await, INVALID, "attributes.tier");
    let names: Vec<_> = (0..65).map(|n| format!("a{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), Kind::BoolValue(true))).collect();
    refused(ask(fields(&many)).await, INVALID, "attributes");
    // Ten megabytes are more than any message may have.
    let huge = ask(fields(&[("tier", text(&"x".repeat(10_000_000)))])).await.unwrap_err();
    assert_eq!(huge.code(), Code::ResourceExhausted, "{huge}");
    let nobody = site.ask("asked", "", &[]).await;
    refused(nobody, INVALID, "workspace_id");
}
