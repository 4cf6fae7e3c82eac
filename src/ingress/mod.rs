//! Ingress: from a request to a stored event.
