//! The configured buckets, by alias.

use std::collections::BTreeMap;
use std::sync::Arc;

use asset_gateway_backends::object_backend::ObjectBackend;

/// Backends by alias; fixed while the process runs.
#[derive(Clone, Default)]
pub struct Buckets(Arc<BTreeMap<String, Arc<dyn ObjectBackend>>>);

impl Buckets {
    pub fn new(buckets: BTreeMap<String, Arc<dyn ObjectBackend>>) -> Self {
        Self(Arc::new(buckets))
    }

    pub fn get(&self, alias: &str) -> Option<&Arc<dyn ObjectBackend>> {
        self.0.get(alias)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<dyn ObjectBackend>)> {
        self.0
            .iter()
            .map(|(alias, bucket)| (alias.as_str(), bucket))
    }
}
