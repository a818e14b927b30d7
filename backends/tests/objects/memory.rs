use std::sync::Arc;

use asset_gateway_backends::conformance::object_backend::Subject;
use asset_gateway_backends::object_backend::memory::MemoryBackend;
use asset_gateway_backends::object_backend_suite;

object_backend_suite!(
    conformance,
    (Subject::new(Arc::new(MemoryBackend::default())), ())
);
