//! The data plane.

mod aborted_transfers;
mod access_rules;
mod browser;
mod cancelled_store_calls;
mod check_order;
mod checksums;
mod conditional_requests;
mod contradictory_storage;
mod errors;
mod hit_on_complete;
mod hits;
mod lapsed_leases;
mod media_types;
mod ranges;
mod referrers;
mod representation_headers;
mod response_headers;
mod upload_limits;
mod uploads;
