//! The data plane.

mod checksums;
mod conditions;
mod cut_off;
mod errors;
mod headers;
mod hits;
mod hits_complete;
mod lapsed;
mod left;
mod order;
mod ranges;
mod rules;
mod storage_lies;
mod upload_limits;
mod uploads;
