//! KVM: not only `/dev/kvm`, but a VM of it that can do what the suite needs. Nothing can be installed.

use anyhow::Result;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) fn check() -> Result<()> {
    use anyhow::{Context, ensure};
    use kvm_ioctls::{Cap, Kvm};

    const NEEDED: [Cap; 6] =
        [Cap::Irqchip, Cap::Irqfd, Cap::IrqfdResample, Cap::Ioeventfd, Cap::ImmediateExit, Cap::IrqRouting];
    let vm = Kvm::new().context("cannot open /dev/kvm")?.create_vm().context("cannot make a VM")?;
    for cap in NEEDED {
        ensure!(vm.check_extension(cap), "it lacks {cap:?}");
    }
    Ok(())
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(super) fn check() -> Result<()> {
    anyhow::bail!("it is used on Linux on x86-64 only")
}
