//! The registers of a virtio-mmio device of version 2 (section 4.2.2), the bits of its status (section 2.1), and those
//! of its interrupts (section 4.2.2).

/// `MagicValue`: "virt".
pub const MAGIC: u32 = 0x7472_6976;
/// `Version` of a device that is not a legacy one.
pub const VERSION: u32 = 2;
/// `DeviceID` of a network card (section 5).
pub const DEVICE_NET: u32 = 1;
/// Where the configuration space begins, in bytes from the first register.
pub const CONFIG: u64 = 0x100;

/// The device's status.
pub mod status {
    /// The guest has noticed the device.
    pub const ACKNOWLEDGE: u32 = 1;
    /// The guest knows how to drive it.
    pub const DRIVER: u32 = 2;
    /// The driver is ready: the queues are live.
    pub const DRIVER_OK: u32 = 4;
    /// Driver and device agree on the features.
    pub const FEATURES_OK: u32 = 8;
    /// The device cannot go on. The only bit that the device sets.
    pub const NEEDS_RESET: u32 = 64;
    /// The driver has given the device up.
    pub const FAILED: u32 = 128;
}

/// Why the device interrupts.
pub mod interrupt {
    /// Buffers were used.
    pub const USED: u32 = 1;
    /// The configuration or the status changed.
    pub const CONFIG: u32 = 2;
}

macro_rules! registers {
    ($($(#[$doc:meta])* $name:ident = $at:literal,)*) => {
        /// A register, by its place in bytes from the first one. All have 32 bits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Register {
            $($(#[$doc])* $name = $at,)*
        }

        impl Register {
            /// Every register, in the order of their places.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The register at a place, if there is one.
            #[must_use]
            pub const fn at(offset: u64) -> Option<Self> {
                match offset {
                    $($at => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

registers! {
    /// [`MAGIC`]; read.
    MagicValue = 0x000,
    /// [`VERSION`]; read.
    Version = 0x004,
    /// [`DEVICE_NET`]; read.
    DeviceId = 0x008,
    /// Who made the device; read.
    VendorId = 0x00c,
    /// The offered features, 32 of them; read.
    DeviceFeatures = 0x010,
    /// Which 32; written.
    DeviceFeaturesSel = 0x014,
    /// The acknowledged features, 32 of them; written.
    DriverFeatures = 0x020,
    /// Which 32; written.
    DriverFeaturesSel = 0x024,
    /// The queue that the queue registers are of; written.
    QueueSel = 0x030,
    /// The largest size of the queue, 0 if there is none; read.
    QueueNumMax = 0x034,
    /// The size of the queue; written.
    QueueNum = 0x038,
    /// Whether the queue may be used; read and written.
    QueueReady = 0x044,
    /// The queue that has new buffers; written.
    QueueNotify = 0x050,
    /// Why the device interrupts; read.
    InterruptStatus = 0x060,
    /// What of that the driver has taken note of; written.
    InterruptAck = 0x064,
    /// How far driver and device are; read and written. Writing 0 resets the device.
    Status = 0x070,
    /// The descriptor table's address, low half; written.
    QueueDescLow = 0x080,
    /// Its high half.
    QueueDescHigh = 0x084,
    /// The available ring's address, low half; written.
    QueueDriverLow = 0x090,
    /// Its high half.
    QueueDriverHigh = 0x094,
    /// The used ring's address, low half; written.
    QueueDeviceLow = 0x0a0,
    /// Its high half.
    QueueDeviceHigh = 0x0a4,
    /// The shared memory region that the following registers are of; written.
    ShmSel = 0x0ac,
    /// Its length, low half, all ones if there is none; read.
    ShmLenLow = 0x0b0,
    /// Its high half.
    ShmLenHigh = 0x0b4,
    /// Its address, low half, all ones if there is none; read.
    ShmBaseLow = 0x0b8,
    /// Its high half.
    ShmBaseHigh = 0x0bc,
    /// Resets one queue, where that feature was negotiated.
    QueueReset = 0x0c0,
    /// Changes whenever the configuration space does; read.
    ConfigGeneration = 0x0fc,
}
