//! The waker's bell: what it is differs between systems.

#[cfg(epoll)]
mod counter;
#[cfg(any(not(any(epoll, user_events)), test))]
mod pair;
#[cfg(user_events)]
mod user;

#[cfg(epoll)]
pub(crate) use counter::Bell;
#[cfg(not(any(epoll, user_events)))]
pub(crate) use pair::Bell;
#[cfg(user_events)]
pub(crate) use user::Bell;

#[cfg(test)]
mod tests;
