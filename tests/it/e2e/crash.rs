//! SIGKILL in the middle of everything: what was acknowledged is there, what was not leaves nothing.
//!
//! - `rounds`: traffic of every kind over sled and an fs bucket, killed at moments of chance.
//! - `settling`: killed exactly while storage makes an object visible, before and after it has.
//! - `parts`: killed in the middle of an upload in parts, which must not stay in storage.
//! - `stopped`: SIGSTOP for longer than a lease, while storage has the object and nobody knows.
//! - `scene`: the folders, the configuration and the receiver that outlive the processes.

mod downloads;
mod mixed_traffic;
#[cfg(feature = "aws")]
mod multipart_uploads;
mod paused_process;
mod scene;
mod token_changes;
mod upload_recovery;
mod uploads;
mod victim;
