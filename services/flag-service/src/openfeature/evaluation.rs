//! `flagd.evaluation`, v1 and v2: the same, but that v2 has no value where there is none.

use std::sync::Arc;

use contracts::flagd::evaluation::{v1, v2};
use flag_core::Value;
use flag_wire::{context, json_of_struct, struct_of};
use prost_types::Struct;
use serde_json::Value as Json;
use tonic::{Request, Response, Status};

use super::events::{self, Events};
use super::{Resolved, about_all, invalid_context, live, type_mismatch};
use crate::app::App;

/// Both versions of the service.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    app: Arc<App>,
}

impl Evaluation {
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// Answers, where the value is of the type asked for.
    fn resolve<T>(
        &self,
        key: &str,
        context: Option<&Struct>,
        asked: &str,
        read: fn(&Value) -> Option<T>,
    ) -> Result<(Option<T>, Resolved), Status> {
        let resolved = self.app.resolve(key, context)?;
        let value = match &resolved.value {
            None => None,
            Some(value) => Some(read(value).ok_or_else(|| type_mismatch(key, asked, value))?),
        };
        Ok((value, resolved))
    }
}

impl Evaluation {
    /// Answers for every flag. What has no answer, or leaves it to the caller, is left out.
    fn resolve_every(&self, wire: Option<&Struct>) -> Result<v1::ResolveAllResponse, Status> {
        let key = context(wire).map_err(invalid_context)?;
        let mut flags = std::collections::HashMap::new();
        for stored in live(&self.app) {
            let Ok(resolved) = self.app.resolved(&stored, key, wire) else { continue };
            let Some(value) = resolved.value.as_ref().and_then(any) else { continue };
            let flag = v1::AnyFlag {
                reason: resolved.reason.to_owned(),
                variant: resolved.variant,
                metadata: Some(resolved.metadata),
                value: Some(value),
            };
            flags.insert(stored.flag.key.to_string(), flag);
        }
        let metadata = flag_wire::wire_metadata(&about_all(&self.app));
        Ok(v1::ResolveAllResponse { flags, metadata })
    }
}

const fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Truth(truth) => Some(*truth),
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Nested(_) => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Truth(_) | Value::Integer(_) | Value::Float(_) | Value::Nested(_) => None,
    }
}

const fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Truth(_) | Value::Text(_) | Value::Float(_) | Value::Nested(_) => None,
    }
}

/// A whole number is a number.
#[expect(clippy::cast_precision_loss, reason = "as JSON does beyond 2^53")]
const fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Truth(_) | Value::Text(_) | Value::Nested(_) => None,
    }
}

fn object(value: &Value) -> Option<Struct> {
    match value {
        Value::Nested(Json::Object(fields)) => Some(struct_of(fields)),
        Value::Nested(_)
        | Value::Truth(_)
        | Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_) => None,
    }
}

type Answer<T> = Result<Response<T>, Status>;

/// Serves one version. `value` and `variant` say how it writes what may not be there.
macro_rules! serve {
    (
        $version:ident, value: $value:expr, variant: $variant:expr,
        $($method:ident $request:ident $response:ident $asked:literal $read:ident,)*
        { $($more:tt)* }
    ) => {
        #[tonic::async_trait]
        impl $version::service_server::Service for Evaluation {
            $(async fn $method(
                &self,
                request: Request<$version::$request>,
            ) -> Answer<$version::$response> {
                let request = request.get_ref();
                let (value, resolved) =
                    self.resolve(&request.flag_key, request.context.as_ref(), $asked, $read)?;
                Ok(Response::new($version::$response {
                    value: $value(value),
                    reason: resolved.reason.to_owned(),
                    variant: $variant(resolved.variant),
                    metadata: Some(resolved.metadata),
                }))
            })*

            async fn resolve_object(
                &self,
                request: Request<$version::ResolveObjectRequest>,
            ) -> Answer<$version::ResolveObjectResponse> {
                let request = request.get_ref();
                let (value, resolved) =
                    self.resolve(&request.flag_key, request.context.as_ref(), "object", object)?;
                Ok(Response::new($version::ResolveObjectResponse {
                    value,
                    reason: resolved.reason.to_owned(),
                    variant: $variant(resolved.variant),
                    metadata: Some(resolved.metadata),
                }))
            }

            type EventStreamStream = Events<$version::EventStreamResponse>;

            async fn event_stream(
                &self,
                _: Request<$version::EventStreamRequest>,
            ) -> Answer<Self::EventStreamStream> {
                let events = events::stream(&self.app, |kind, data| $version::EventStreamResponse {
                    r#type: kind.to_owned(),
                    data,
                });
                Ok(Response::new(events))
            }

            $($more)*
        }
    };
}

serve! {
    v1, value: Option::unwrap_or_default, variant: std::convert::identity,
    resolve_boolean ResolveBooleanRequest ResolveBooleanResponse "boolean" boolean,
    resolve_string ResolveStringRequest ResolveStringResponse "string" text,
    resolve_float ResolveFloatRequest ResolveFloatResponse "float" float,
    resolve_int ResolveIntRequest ResolveIntResponse "integer" integer,
    {
        async fn resolve_all(
            &self,
            request: Request<v1::ResolveAllRequest>,
        ) -> Answer<v1::ResolveAllResponse> {
            Ok(Response::new(self.resolve_every(request.get_ref().context.as_ref())?))
        }
    }
}

serve! {
    v2, value: std::convert::identity, variant: given,
    resolve_boolean ResolveBooleanRequest ResolveBooleanResponse "boolean" boolean,
    resolve_string ResolveStringRequest ResolveStringResponse "string" text,
    resolve_float ResolveFloatRequest ResolveFloatResponse "float" float,
    resolve_int ResolveIntRequest ResolveIntResponse "integer" integer,
    {}
}

fn given(variant: String) -> Option<String> {
    Some(variant).filter(|variant| !variant.is_empty())
}

/// A value of any type; a list has no place in this message.
fn any(value: &Value) -> Option<v1::any_flag::Value> {
    use v1::any_flag::Value as Any;
    Some(match value {
        Value::Truth(truth) => Any::BoolValue(*truth),
        Value::Text(text) => Any::StringValue(text.clone()),
        Value::Integer(_) | Value::Float(_) => Any::DoubleValue(float(value)?),
        Value::Nested(_) => Any::ObjectValue(object(value)?),
    })
}

/// The context of a caller over HTTP, as one of these would have sent it.
pub(super) fn as_struct(json: &Json) -> Option<Struct> {
    json.as_object().map(struct_of)
}

/// The fields of a struct as JSON.
pub(super) fn as_json(wire: &Struct) -> Json {
    Json::Object(json_of_struct(wire))
}
