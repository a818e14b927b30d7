//! Records of multipart uploads in storage, so that abandoned ones can be aborted.

use std::time::Duration;

use super::kv::{Batch, Kv};
use super::values::{LeaseValue, UploadValue};
use super::{Inner, keys, millis, values};
use crate::error::Result;
use crate::token_store::{AbandonedUpload, LeaseId, LeaseState, MultipartUpload, TokenId};

impl<K: Kv> Inner<K> {
    /// Records a multipart upload under its lease.
    pub fn record_upload(&self, lease: LeaseId, upload: MultipartUpload) -> Result<LeaseState> {
        let _stripe = self.stripe(lease.token_id);
        let live = self.live_lease(lease, self.clock.now_ms())?;
        if live.is_none() {
            return Ok(LeaseState::Lost);
        }
        let value = UploadValue {
            upload,
            taken_until: 0,
            owner: 0,
        };
        let key = keys::upload(lease.token_id, lease.lease);
        self.kv.apply(Batch::of_put(key, values::encode(&value)?))?;
        Ok(LeaseState::Held)
    }

    /// Hands out abandoned uploads, each again after `retry`.
    pub fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        let mut open = Vec::new();
        self.kv.scan(keys::UPLOADS, None, &mut |key, _| {
            open.extend(keys::parse_lease(key));
            Ok(true)
        })?;
        let mut abandoned = Vec::new();
        for (id, lease) in open {
            abandoned.extend(self.take_abandoned(id, lease, retry)?);
        }
        Ok(abandoned)
    }

    fn take_abandoned(
        &self,
        id: TokenId,
        lease: u64,
        retry: Duration,
    ) -> Result<Option<AbandonedUpload>> {
        let now_ms = self.clock.now_ms();
        let key = keys::upload(id, lease);
        let _stripe = self.stripe(id);
        let Some(mut value) = values::read::<UploadValue>(&self.kv, &key)? else {
            return Ok(None);
        };
        let taken = value.owner == self.owner && value.taken_until > now_ms;
        if taken || !self.is_abandoned(id, lease, now_ms)? {
            return Ok(None);
        }
        value.owner = self.owner;
        value.taken_until = now_ms.saturating_add(millis(retry));
        self.kv.apply(Batch::of_put(key, values::encode(&value)?))?;
        Ok(Some(AbandonedUpload {
            token_id: id,
            lease,
            upload: value.upload,
        }))
    }

    /// Whether the lease is gone, or lapsed and not finalising: no writer and no recovery needs the
    /// upload.
    fn is_abandoned(&self, id: TokenId, lease: u64, now_ms: u64) -> Result<bool> {
        let value: Option<LeaseValue> = values::read(&self.kv, &keys::lease(id, lease))?;
        Ok(
            value
                .is_none_or(|value| value.intent.is_none() && value.has_lapsed(now_ms, self.owner)),
        )
    }

    /// Removes the record of an aborted upload.
    pub fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        let key = keys::upload(upload.token_id, upload.lease);
        self.kv.apply(Batch::of_removal(key))
    }
}
