//! The data plane.

mod browser;
mod checksums;
mod conditions;
mod cut_off;
mod errors;
mod headers;
mod hits;
mod hits_complete;
mod lapsed;
mod left;
mod media_types;
mod order;
mod ranges;
mod referrers;
mod representation;
mod rules;
mod storage_lies;
mod upload_limits;
mod uploads;
