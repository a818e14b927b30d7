//! Multipart uploads that may have to be aborted in storage.

use std::time::Duration;

use crate::error::Result;
use crate::redis::keys::{self, Partition};
use crate::redis::scripts::decode;
use crate::redis::{Inner, any_of, json, millis};
use crate::token_store::{AbandonedUpload, LeaseId, LeaseState, MultipartUpload};

/// Uploads that one script looks at.
const UPLOADS_PER_CALL: usize = 100;

impl Inner {
    pub async fn record_upload(
        &self,
        lease: LeaseId,
        upload: MultipartUpload,
    ) -> Result<LeaseState> {
        let call = self.scripts.record_upload.on_lease(lease);
        let call = call.arg(json("redis.record_upload", &upload)?);
        decode::lease_state(&call.run(&self.connection).await?.text()?)
    }

    pub async fn abandoned_uploads(&self, retry: Duration) -> Result<Vec<AbandonedUpload>> {
        let each = keys::all_partitions().map(|partition| self.abandoned_in(partition, retry));
        Ok(any_of(each.collect()).await?.concat())
    }

    async fn abandoned_in(
        &self,
        partition: Partition,
        retry: Duration,
    ) -> Result<Vec<AbandonedUpload>> {
        let mut abandoned = Vec::new();
        loop {
            let call = self.scripts.abandoned_uploads.on(partition);
            let call = call.arg(millis(retry)).arg(UPLOADS_PER_CALL);
            let mut items = call.run(&self.connection).await?.items()?;
            let more = items.number()? == 1;
            for item in items.item()?.items()? {
                let mut item = item.items()?;
                abandoned.push(AbandonedUpload {
                    token_id: decode::token_id(&item.text()?)?,
                    lease: decode::hex(&item.text()?)?,
                    upload: decode::from_json(&item.text()?)?,
                });
            }
            if !more {
                return Ok(abandoned);
            }
        }
    }

    pub async fn forget_upload(&self, upload: &AbandonedUpload) -> Result<()> {
        let call = self.scripts.forget_upload.on_token(upload.token_id);
        let call = call.arg(keys::hex(upload.lease));
        call.run(&self.connection).await.map(drop)
    }
}
