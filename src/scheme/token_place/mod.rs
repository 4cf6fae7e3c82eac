//! Where a token stands in a request's head, and what people write around it: for every scheme that has tokens.

mod around;
mod format;
mod place;
mod shape;

pub(super) use self::around::around;
pub(super) use self::format::{Coding, Format};
pub(super) use self::place::{
    AUTHORIZATION, BEARER, Header, NO_FORMAT, NO_HEADER, Place, TOKEN_FORMAT, TOKEN_HEADER, given,
};
pub(super) use self::shape::{MARK, Shape, fingerprint};
