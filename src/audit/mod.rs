//! Audit records towards the SIEM.
