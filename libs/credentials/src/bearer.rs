//! A token on its way to a service.

use std::path::Path;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::Unusable;
use crate::private::read_private;

const AUTHORIZATION: &str = "authorization";

/// Shows a token with every call; shows nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// Reads the one line of a token file.
    pub(crate) fn read(path: &Path) -> Result<Self, Unusable> {
        let shown = path.display();
        let text = read_private(path)?;
        let token = text.trim();
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Unusable(format!("{shown} is not one line with a token")));
        }
        let mut value = MetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_e| Unusable(format!("{shown} is not one line with a token")))?;
        value.set_sensitive(true); // Neither Debug nor the compression of headers gets to see it.
        Ok(Self(Some(value)))
    }

    /// Whether there is a token.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert(AUTHORIZATION, value.clone());
        }
        Ok(request)
    }
}
