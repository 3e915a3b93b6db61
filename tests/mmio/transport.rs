//! How a driver from elsewhere reaches the registers: as over virtio-mmio, access by access (section 4.2.3).

use std::sync::Arc;

use netrx::spec::mmio::{CONFIG, DEVICE_NET, MAGIC, Register, VERSION};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::owed::Watch;
use super::rig::Device;

/// The registers, as a driver's memory accesses. Dropped, it resets the device.
pub(crate) struct Registers {
    device: Arc<Device>,
    watch: Watch,
}

impl Registers {
    /// Looks whether there is a network card.
    pub(crate) fn probe(device: &Arc<Device>, watch: &Watch) -> Self {
        let registers = Self { device: Arc::clone(device), watch: watch.clone() };
        let found = [Register::MagicValue, Register::Version, Register::DeviceId].map(|r| registers.read(r));
        assert_eq!(found, [MAGIC, VERSION, DEVICE_NET]);
        registers
    }

    fn read(&self, register: Register) -> u32 {
        let mut word = [0; 4];
        self.device.read(register as u64, &mut word);
        u32::from_le_bytes(word)
    }

    fn write(&self, register: Register, value: u32) {
        let written = self.device.write(register as u64, &value.to_le_bytes());
        assert!(written.is_ok(), "{register:?} <- {value:#x}: {written:?}");
    }

    fn write_address(&self, [low, high]: [Register; 2], address: PhysAddr) {
        self.write(low, address as u32);
        self.write(high, (address >> 32) as u32);
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        self.write(Register::Status, 0);
    }
}

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        let half = |select| {
            self.write(Register::DeviceFeaturesSel, select);
            u64::from(self.read(Register::DeviceFeatures))
        };
        half(0) | half(1) << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        for (select, word) in [(0, features as u32), (1, (features >> 32) as u32)] {
            self.write(Register::DriverFeaturesSel, select);
            self.write(Register::DriverFeatures, word);
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.write(Register::QueueSel, queue.into());
        self.read(Register::QueueNumMax)
    }

    fn notify(&mut self, queue: u16) {
        self.watch.kicks(queue);
        self.write(Register::QueueNotify, queue.into());
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_retain(self.read(Register::Status))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.write(Register::Status, status.bits());
        assert_eq!(self.get_status(), status, "the device agrees");
    }

    fn set_guest_page_size(&mut self, _size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, queue: u16, size: u32, desc: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        self.write(Register::QueueSel, queue.into());
        self.write(Register::QueueNum, size);
        self.write_address([Register::QueueDescLow, Register::QueueDescHigh], desc);
        self.write_address([Register::QueueDriverLow, Register::QueueDriverHigh], driver);
        self.write_address([Register::QueueDeviceLow, Register::QueueDeviceHigh], device);
        self.watch.set_up(queue, size, driver, device);
        self.write(Register::QueueReady, 1);
    }

    fn queue_unset(&mut self, queue: u16) {
        self.write(Register::QueueSel, queue.into());
        self.write(Register::QueueReady, 0);
        assert_eq!(self.read(Register::QueueReady), 0, "the queue has stopped");
        self.write(Register::QueueNum, 0);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.write(Register::QueueSel, queue.into());
        self.read(Register::QueueReady) != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        let why = self.read(Register::InterruptStatus);
        self.write(Register::InterruptAck, why);
        InterruptStatus::from_bits_retain(why)
    }

    fn read_config_generation(&self) -> u32 {
        self.read(Register::ConfigGeneration)
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let mut value = T::new_zeroed();
        let width = align_of::<T>();
        for (index, field) in value.as_mut_bytes().chunks_mut(width).enumerate() {
            self.device.read(CONFIG + (offset + index * width) as u64, field);
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<()> {
        let written = self.device.write(CONFIG + offset as u64, value.as_bytes());
        assert!(written.is_ok(), "the configuration space ignores it: {written:?}");
        Ok(())
    }
}
