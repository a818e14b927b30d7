//! A lease that its holder has lost: what became of it, where storage has made the upload visible.

use std::sync::Arc;
use std::time::Duration;

use asset_gateway_backends::caller::CallerRef;
use asset_gateway_backends::client_address::ClientAddress;
use asset_gateway_backends::error::Result;
use asset_gateway_backends::event::Report;
use asset_gateway_backends::token_store::{
    Access, Intent, LeaseId, LeaseState, Refusal, ReserveRequest, Reserved, Settlement, TokenId,
    TokenStore,
};
use tokio::time::Instant;

use super::lease::{LeaseDeadline, lease_duration};
use crate::telemetry::record::hits;

/// Some sweeps, and what looking for the object may take.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(250);

/// What is needed to learn how an access ended whose lease was lost. Outlives the ticket.
#[derive(Clone)]
pub struct AccessLease {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) token_id: TokenId,
    /// Of the token that let the access in.
    pub(super) incarnation: Option<u64>,
    pub(super) lease: Option<LeaseId>,
    pub(super) deadline: Option<Arc<LeaseDeadline>>,
}

impl AccessLease {
    /// See [`LeaseDeadline::is_over`].
    pub fn is_over(&self) -> bool {
        self.deadline.as_ref().is_some_and(|d| d.is_over())
    }

    /// The lease is lost because its token is gone, whether or not another one has its name by now.
    pub async fn is_revoked(&self) -> Result<bool> {
        let found = self.store.get(self.token_id).await?;
        Ok(found.map(|token| token.incarnation) != self.incarnation)
    }

    /// What whoever took the lease over has made of it; waits for that. An error, or `Open`: not known
    /// in time.
    pub async fn settlement(&self) -> Result<Settlement> {
        let Some(lease) = self.lease else {
            return Ok(Settlement::Void);
        };
        let until = Instant::now() + PATIENCE;
        loop {
            let settlement = self.store.settlement(lease).await;
            let is_decided = matches!(settlement, Ok(Settlement::Counted | Settlement::Void));
            if is_decided || Instant::now() >= until {
                return settlement;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Counts an object that became visible after its hit was given back: with a hit of its own, where
    /// there is one and the token is the same. The access was let in before: its rules are not judged again.
    pub async fn count_anew(
        &self,
        intent: Intent,
        report: Report,
    ) -> Result<std::result::Result<(), Refusal>> {
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
                Reserved::Refused(refusal) => return Ok(Err(refusal)),
            }
        };
        if Some(reservation.incarnation()) != self.incarnation {
            self.store.release(reservation, 0, None).await?;
            return Ok(Err(Refusal::NotFound));
        }
        let finalised = self
            .store
            .finalise(&reservation, intent.clone(), lease_duration())
            .await?;
        let committed = match finalised {
            LeaseState::Held => self.store.commit(reservation, report).await?,
            LeaseState::Lost => LeaseState::Lost,
        };
        Ok(match committed {
            LeaseState::Held => {
                hits::reserved();
                hits::committed();
                Ok(())
            }
            LeaseState::Lost => Err(Refusal::NotFound),
        })
    }
}
