//! Messages as proto3 JSON and back, by their descriptors.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

/// Writes messages of one set of contracts as JSON.
#[derive(Debug)]
pub struct Json {
    pool: Result<DescriptorPool, String>,
}

impl Json {
    /// For the contracts that `descriptors`, an encoded `FileDescriptorSet`, describes.
    #[must_use]
    pub fn new(descriptors: &[u8]) -> Self {
        Self { pool: DescriptorPool::decode(descriptors).map_err(|error| error.to_string()) }
    }

    /// A message as proto3 JSON, fields with default values included. `name`: its full name, e.g.
    /// `softlaunch.gate.v1.GateReport`.
    ///
    /// # Errors
    /// Says why, as a lowercase fragment: the name is none of these contracts.
    pub fn value(&self, name: &str, message: &impl Message) -> Result<serde_json::Value, String> {
        let wrong = |why: String| format!("cannot write {name} as JSON: {why}");
        let pool = self.pool.as_ref().map_err(|why| wrong(why.clone()))?;
        let unknown = || wrong("no such message".to_owned());
        let descriptor = pool.get_message_by_name(name).ok_or_else(unknown)?;
        let bytes = message.encode_to_vec();
        let dynamic = DynamicMessage::decode(descriptor, bytes.as_slice())
            .map_err(|error| wrong(error.to_string()))?;
        let options = SerializeOptions::new().skip_default_fields(false);
        dynamic
            .serialize_with_options(serde_json::value::Serializer, &options)
            .map_err(|error| wrong(error.to_string()))
    }

    /// Reads a message from proto3 JSON. `name`: its full name.
    ///
    /// # Errors
    /// Says what of the text is not as it should be, and where; unknown fields are refused.
    pub fn read<M: Message + Default>(&self, name: &str, text: &str) -> Result<M, String> {
        let pool = self.pool.as_ref().map_err(Clone::clone)?;
        let unknown = || format!("there is no message {name}");
        let descriptor = pool.get_message_by_name(name).ok_or_else(unknown)?;
        let mut json = serde_json::Deserializer::from_str(text);
        let dynamic = DynamicMessage::deserialize(descriptor, &mut json)
            .map_err(|error| error.to_string())?;
        json.end().map_err(|error| error.to_string())?;
        M::decode(dynamic.encode_to_vec().as_slice()).map_err(|error| error.to_string())
    }
}
