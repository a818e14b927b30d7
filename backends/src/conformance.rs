//! Test suites that every adapter passes, for the adapters of third parties, too.
//!
//! Each case is a function, and becomes a test with the function's name.
//!
//! # Example
//!
//! A bucket in a map passes the suite of the object port:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::sync::{Arc, Mutex};
//! use std::time::SystemTime;
//!
//! use asset_gateway_backends::conformance::object_backend::{Subject, run_all};
//! use asset_gateway_backends::error::Result;
//! use asset_gateway_backends::object_backend::*;
//! use asset_gateway_backends::{BackendError, ErrorKind};
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use futures_util::{StreamExt, stream};
//!
//! type Objects = Arc<Mutex<HashMap<String, (ObjectMeta, Bytes)>>>;
//!
//! #[derive(Default)]
//! struct MapBackend(Objects);
//!
//! fn error(kind: ErrorKind) -> BackendError {
//!     BackendError::new(kind, "map")
//! }
//!
//! #[async_trait]
//! impl ObjectBackend for MapBackend {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities {
//!             markers: false,
//!             exclusive_create: true,
//!             content_encoding: false,
//!             content_language: false,
//!             writes_end_with_process: true,
//!             fences_off: false,
//!         }
//!     }
//!
//!     fn check_key(&self, _key: &str) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     async fn head(&self, key: &str, options: &GetOptions) -> Result<ObjectMeta> {
//!         let whole = GetOptions { range: None, ..options.clone() };
//!         Ok(self.get(key, &whole).await?.meta)
//!     }
//!
//!     async fn get(&self, key: &str, options: &GetOptions) -> Result<GetResult> {
//!         let found = self.0.lock().unwrap().get(key).cloned();
//!         let (meta, mut bytes) = found.ok_or(error(ErrorKind::NotFound))?;
//!         evaluate_conditions(&options.conditions, &meta).map_err(error)?;
//!         let mut range = None;
//!         if let Some(requested) = options.range {
//!             let outside = error(ErrorKind::RangeNotSatisfiable { size: meta.size });
//!             let found = requested.resolve(bytes.len() as u64).ok_or(outside)?;
//!             bytes = bytes.slice(found.start as usize..found.end as usize);
//!             range = Some(found);
//!         }
//!         // A body has no empty chunks.
//!         let body = stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed();
//!         Ok(GetResult { meta, range, body })
//!     }
//!
//!     async fn put(&self, key: &str, options: PutOptions) -> Result<Box<dyn Upload>> {
//!         let (objects, key) = (Arc::clone(&self.0), key.to_owned());
//!         Ok(Box::new(MapUpload { objects, key, options, bytes: Vec::new() }))
//!     }
//!
//!     async fn delete(&self, key: &str) -> Result<()> {
//!         self.0.lock().unwrap().remove(key);
//!         Ok(())
//!     }
//!
//!     async fn ping(&self) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! struct MapUpload {
//!     objects: Objects,
//!     key: String,
//!     options: PutOptions,
//!     bytes: Vec<u8>,
//! }
//!
//! #[async_trait]
//! impl Upload for MapUpload {
//!     async fn write(&mut self, chunk: Bytes) -> Result<()> {
//!         self.bytes.extend_from_slice(&chunk);
//!         Ok(())
//!     }
//!
//!     async fn finish(self: Box<Self>) -> Result<Stored> {
//!         static VERSION: AtomicU64 = AtomicU64::new(0);
//!         let etag = VERSION.fetch_add(1, Ordering::Relaxed).to_string();
//!         let size = self.bytes.len() as u64;
//!         let meta = ObjectMeta {
//!             size: Some(size),
//!             etag: Some(etag.clone()),
//!             last_modified: Some(SystemTime::now()),
//!             content_type: Some(self.options.stored_type()),
//!             ..ObjectMeta::default()
//!         };
//!         let mut objects = self.objects.lock().unwrap();
//!         if self.options.must_not_exist && objects.contains_key(&self.key) {
//!             return Err(error(ErrorKind::PreconditionFailed));
//!         }
//!         if self.options.fence.is_some_and(|fence| fence.is_past()) {
//!             return Err(error(ErrorKind::Unavailable));
//!         }
//!         objects.insert(self.key, (meta, self.bytes.into()));
//!         Ok(Stored { etag, size })
//!     }
//!
//!     async fn abort(self: Box<Self>) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() {
//! let failed = run_all(&Subject::new(Arc::new(MapBackend::default()))).await;
//! assert_eq!(failed, [""; 0]);
//! # }
//! ```
#![allow(clippy::unwrap_used)]

pub mod callback_queue;
pub mod fixture;
pub mod object_backend;
pub mod token_store;

#[cfg(feature = "redis")]
pub use crate::redis::script_names as redis_script_names;

/// Makes a test of each case, in a module for each group, on a store opened with the group's `LIMITS`.
#[doc(hidden)]
#[macro_export]
macro_rules! store_suite_cases {
    ($name:ident, $setup:path, $suite:ident => $($group:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(mod $group {
                #[allow(unused_imports)]
                use super::*;
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    use $crate::conformance::$suite::$group as group;
                    group::$case($setup(group::LIMITS).await).await;
                })+
            })+
        }
    };
}
