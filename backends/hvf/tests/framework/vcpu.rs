//! The vCPUs: each belongs to the thread that created it, and runs until its guest traps or it is made to exit.

#![allow(unsafe_code, reason = "exports symbols of the framework")]

use std::thread;
use std::time::{Duration, Instant};

use applevisor_sys::hv_error_t::{HV_BAD_ARGUMENT, HV_BUSY, HV_ERROR, HV_NO_DEVICE};
use applevisor_sys::{
    hv_error_t, hv_exit_reason_t, hv_reg_t, hv_return_t, hv_sys_reg_t, hv_vcpu_config_t,
    hv_vcpu_exit_exception_t, hv_vcpu_exit_t, hv_vcpu_t,
};

use super::guest::start;
use super::state::{Call, Refused, State, Vcpu, call, changed, check, lock, number, planned, wait};

/// A vCPU that is in the guest for longer is an error: nobody makes it exit any more, and a test is to fail, not to hang.
const STUCK: Duration = Duration::from_secs(30);

const NOTHING: hv_vcpu_exit_t = hv_vcpu_exit_t {
    reason: hv_exit_reason_t::UNKNOWN,
    exception: hv_vcpu_exit_exception_t { syndrome: 0, virtual_address: 0, physical_address: 0 },
};

/// # Safety
/// Both pointers are good for writing.
// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
unsafe extern "C" fn hv_vcpu_create(
    vcpu: *mut hv_vcpu_t,
    exit: *mut *const hv_vcpu_exit_t,
    _config: hv_vcpu_config_t,
) -> hv_return_t {
    call("hv_vcpu_create", &[], |state| {
        check(state.vm, HV_NO_DEVICE)?;
        let owner = thread::current().id();
        check(state.vcpus.values().all(|other| other.owner != owner), HV_BUSY)?;
        let (id, place) = (state.next_vcpu, Box::into_raw(Box::new(NOTHING)));
        state.next_vcpu += 1;
        let guest = state.guests.pop_front().map(|program| start(id, program));
        let made = Vcpu {
            owner,
            exit: place as usize,
            inside: false,
            cancelled: false,
            registers: [0; 64],
            affinity: None,
            trap: None,
            told: false,
            guest,
        };
        state.vcpus.insert(id, made);
        // SAFETY: the caller vouches for the pointers.
        unsafe { (*vcpu, *exit) = (id, place) };
        Ok(())
    })
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vcpu_destroy(vcpu: hv_vcpu_t) -> hv_return_t {
    let mut guest = None;
    let returned = call("hv_vcpu_destroy", &[vcpu], |state| {
        own(state, vcpu)?;
        let Some(gone) = state.vcpus.remove(&vcpu) else { return Err(HV_BAD_ARGUMENT) };
        guest = gone.guest;
        // SAFETY: made by `hv_vcpu_create`, and nobody else frees it.
        drop(unsafe { Box::from_raw(gone.exit as *mut hv_vcpu_exit_t) });
        Ok(())
    });
    if let Some(guest) = guest {
        // It notices that its vCPU is gone. What it asserts, its test hears by other means.
        let _ = guest.join();
    }
    returned
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vcpu_run(vcpu: hv_vcpu_t) -> hv_return_t {
    let planned = planned(&mut lock(), "hv_vcpu_run");
    let returned = planned.unwrap_or_else(|| number(run(vcpu)));
    lock().calls.push(Call { name: "hv_vcpu_run", args: vec![vcpu], returned });
    changed();
    returned
}

fn run(vcpu: hv_vcpu_t) -> Refused {
    let mut state = lock();
    let has_gic = state.gic;
    let own = own(&mut state, vcpu)?;
    // The framework's documentation demands it; what comes of a vCPU without, it does not say.
    check(!has_gic || own.affinity.is_some(), HV_BAD_ARGUMENT)?;
    if own.told {
        // What it returned for has been done.
        (own.told, own.trap) = (false, None);
    }
    own.inside = true;
    changed();
    let until = Instant::now() + STUCK;
    loop {
        let Some(own) = state.vcpus.get_mut(&vcpu) else { return Err(HV_BAD_ARGUMENT) };
        let mut why = NOTHING;
        if std::mem::take(&mut own.cancelled) {
            why.reason = hv_exit_reason_t::CANCELED;
        } else if let Some(trap) = &own.trap {
            why = trap.exit();
            own.told = true;
        } else if Instant::now() < until {
            state = wait(state, Some(until));
            continue;
        } else {
            return Err(HV_ERROR);
        }
        own.inside = false;
        // SAFETY: made by `hv_vcpu_create`; the vCPU's thread, which reads it, is this one.
        unsafe { *(own.exit as *mut hv_vcpu_exit_t) = why };
        return Ok(());
    }
}

/// # Safety
/// As many numbers are readable there.
// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
unsafe extern "C" fn hv_vcpus_exit(vcpus: *const hv_vcpu_t, count: u32) -> hv_return_t {
    // SAFETY: the caller vouches for the numbers.
    let vcpus: Vec<_> = (0..count as usize).map(|at| unsafe { *vcpus.add(at) }).collect();
    call("hv_vcpus_exit", &vcpus, |state| {
        let known = vcpus.iter().all(|vcpu| state.vcpus.contains_key(vcpu));
        check(known && !vcpus.is_empty(), HV_BAD_ARGUMENT)?;
        let asked = state.vcpus.iter_mut().filter(|(vcpu, _)| vcpus.contains(vcpu));
        asked.for_each(|(_, vcpu)| vcpu.cancelled = true);
        Ok(())
    })
}

/// # Safety
/// The pointer is good for writing.
// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
unsafe extern "C" fn hv_vcpu_get_reg(vcpu: hv_vcpu_t, register: hv_reg_t, value: *mut u64) -> hv_return_t {
    let mut state = lock();
    number(own(&mut state, vcpu).map(|own| {
        // SAFETY: the caller vouches for the pointer.
        unsafe { *value = own.registers[register as usize] };
    }))
}

// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vcpu_set_reg(vcpu: hv_vcpu_t, register: hv_reg_t, value: u64) -> hv_return_t {
    let mut state = lock();
    number(own(&mut state, vcpu).map(|own| own.registers[register as usize] = value))
}

/// Of these registers there is one.
// SAFETY: the framework's symbol, with its signature.
#[unsafe(no_mangle)]
extern "C" fn hv_vcpu_set_sys_reg(vcpu: hv_vcpu_t, register: hv_sys_reg_t, value: u64) -> hv_return_t {
    let mut state = lock();
    number(own(&mut state, vcpu).and_then(|own| {
        check(register == hv_sys_reg_t::MPIDR_EL1, HV_BAD_ARGUMENT)?;
        own.affinity = Some(value);
        Ok(())
    }))
}

/// The vCPU, if it is the calling thread's.
fn own(state: &mut State, vcpu: hv_vcpu_t) -> Result<&mut Vcpu, hv_error_t> {
    let found = state.vcpus.get_mut(&vcpu).ok_or(HV_BAD_ARGUMENT)?;
    check(found.owner == thread::current().id(), HV_BAD_ARGUMENT)?;
    Ok(found)
}
