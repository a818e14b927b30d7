//! One suite of cases for each port, each its own named test for each adapter.

pub mod object_backend;
