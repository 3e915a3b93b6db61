//! Places for connections: so many, and one for each.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::promotion::Refusal;

/// The places of a source, and which connections have them.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

/// Connections by what each of the two sides knows them by.
#[derive(Debug, Default)]
struct Taken {
    guests: HashSet<Ends>,
    hosts: HashSet<Ends>,
}

/// Both ends of a connection, which tell it from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends([(IpAddr, u16); 2]);

impl Ends {
    pub(crate) fn new(ends: [SocketAddr; 2]) -> Self {
        Self(ends.map(|end| (end.ip(), end.port())))
    }
}

impl Places {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place for a connection that is known so to the guest and so to the host.
    pub(crate) fn take(self: &Arc<Self>, guest: Ends, host: Ends) -> Result<Place, Refusal> {
        let mut taken = self.lock();
        if taken.guests.len() >= self.most {
            return Err(Refusal::Full(self.most));
        }
        if taken.guests.contains(&guest) || taken.hosts.contains(&host) {
            return Err(Refusal::Taken);
        }
        taken.guests.insert(guest);
        taken.hosts.insert(host);
        Ok(Place { places: Arc::clone(self), guest, host })
    }

    /// What is behind it is whole at any time.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, taken until its end was taken note of.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    guest: Ends,
    host: Ends,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.guests.remove(&self.guest);
        taken.hosts.remove(&self.host);
    }
}
