//! An upload whose lease lapsed while it completed: waits for the recovery, else counts a new hit.

use std::time::Duration;

use asset_gateway_backends::caller::CallerRef;
use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::error::Result as StoreResult;
use asset_gateway_backends::event::Report;
use asset_gateway_backends::token_store::{
    Access, Intent, LeaseState, Refusal, ReserveRequest, Reserved, Settlement,
};
use tokio::time::Instant;

use super::Uncounted;
use crate::telemetry::record::hits;
use crate::tokens::lease::{LeaseHandle, lease_duration};

/// Enough for some sweeps, and for their look at the object.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

impl LeaseHandle {
    /// Waits for what the recovery makes of the upload. `Open`, or an error: not known in time.
    pub async fn recovery_outcome(&self) -> StoreResult<Settlement> {
        let Some(lease) = self.lease else {
            return Ok(Settlement::Void);
        };
        let until = Instant::now() + RECOVERY_TIMEOUT;
        loop {
            let settlement = self.store.settlement(lease).await;
            let is_decided = matches!(settlement, Ok(Settlement::Counted | Settlement::Void));
            if is_decided || Instant::now() >= until {
                return settlement;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns once a hit counts the visible object: that of the recovery, or a new one.
    pub async fn count_visible_object(
        &self,
        intent: Intent,
        report: Report,
    ) -> Result<(), Uncounted> {
        match self.recovery_outcome().await? {
            Settlement::Counted => Ok(()),
            // Storage made the object visible after recovery had looked, or the token was revoked.
            Settlement::Void => self.count_with_new_hit(intent, report).await,
            Settlement::Open => Err(Uncounted::Undecided),
        }
    }

    /// Reserves and commits a new hit, where one is left and the token is the same one. The access was
    /// admitted before: the token's rules are not checked again.
    async fn count_with_new_hit(&self, intent: Intent, report: Report) -> Result<(), Uncounted> {
        let mut request = ReserveRequest {
            access: Access::Put,
            declared_size: None,
            rules_checked: None,
            lease: lease_duration(),
            caller: CallerRef {
                request_id: &intent.caller.request_id,
                client_ip: ClientAddress::Unknown,
                user_agent: "",
                referer: "",
                range: "",
            },
        };
        let reservation = loop {
            match self.store.reserve(self.token_id, &request).await? {
                Reserved::Admitted { reservation, .. } => break reservation,
                Reserved::CheckRules { incarnation, .. } => {
                    request.rules_checked = Some(incarnation);
                }
                Reserved::Refused(refusal) => return Err(Uncounted::Refused(refusal)),
            }
        };
        if reservation.incarnation() != self.incarnation {
            self.store.release(reservation, 0, None).await?;
            return Err(Uncounted::Refused(Refusal::NotFound));
        }
        let finalised = self
            .store
            .finalise(&reservation, intent.clone(), lease_duration())
            .await?;
        let committed = match finalised {
            LeaseState::Held => self.store.commit(reservation, report).await?,
            LeaseState::Lost => LeaseState::Lost,
        };
        match committed {
            LeaseState::Held => {
                hits::reserved();
                hits::committed();
                Ok(())
            }
            LeaseState::Lost => Err(Uncounted::Refused(Refusal::NotFound)),
        }
    }
}
