//! The waker's bell: what it is differs between systems.

#[cfg(any(not(user_events), test))]
mod pair;
#[cfg(user_events)]
mod user;

#[cfg(not(user_events))]
pub(crate) use pair::Bell;
#[cfg(user_events)]
pub(crate) use user::Bell;

#[cfg(test)]
mod tests;
