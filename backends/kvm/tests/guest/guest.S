# A virtio-net driver's receive queue, in 16-bit real mode. It posts its buffers, sleeps, and on each interrupt sums up
# the frames that arrived, tells the sums, and posts the buffers again. Names in braces are the constants of mod.rs.

    .section .rodata.netrx_guest, "a"
    .code16
    .globl netrx_guest_start, netrx_guest_end

    .set MASK, {size} - 1
    .set AVAIL_INDEX, {avail} + 2
    .set AVAIL_RING, {avail} + 4
    .set USED_EVENT, AVAIL_RING + 2 * {size}
    .set USED_INDEX, {used} + 2
    .set USED_RING, {used} + 4
    .set AVAIL_EVENT, USED_RING + 8 * {size}

netrx_guest_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov ${stack}, %sp
    movw $(interrupt - netrx_guest_start + {code}), 4 * ({vector} + {irq})
    movw $0, 4 * ({vector} + {irq}) + 2

# The two interrupt controllers: vectors, how they are wired, 8086 mode; only our interrupt is let through.
    mov $0x11, %al
    out %al, $0x20
    out %al, $0xa0
    mov ${vector}, %al
    out %al, $0x21
    mov $({vector} + 8), %al
    out %al, $0xa1
    mov $4, %al
    out %al, $0x21
    mov $2, %al
    out %al, $0xa1
    mov $1, %al
    out %al, $0x21
    out %al, $0xa1
    mov $(0xff & ~(1 << {irq})), %al
    out %al, $0x21
    mov $0xff, %al
    out %al, $0xa1
    xor %al, %al
    testb ${level}, {flags}
    jz 1f
    mov $(1 << {irq}), %al
1:  mov $0x4d0, %dx
    out %al, %dx

# Descriptor and entry of each buffer, then the index that shows them all.
    xor %bx, %bx
post_first:
    movzwl %bx, %eax
    mov %ax, %si
    shl $4, %si
    imul ${buffer_len}, %eax
    add ${buffers}, %eax
    mov %eax, {desc}(%si)
    movl $0, {desc} + 4(%si)
    movl ${buffer_len}, {desc} + 8(%si)
    movl $2, {desc} + 12(%si)
    mov %bx, %si
    add %si, %si
    mov %bx, AVAIL_RING(%si)
    inc %bx
    cmp ${size}, %bx
    jb post_first
    mov %bx, AVAIL_INDEX

    mov ${port_ready}, %dx
    out %al, %dx
    sti
sleep:
    hlt
    jmp sleep

interrupt:
    pushal
    push %es
    testb ${level}, {flags}
    jz drain
    mov ${port_status}, %dx
    in %dx, %al

# One used entry: %bp is the buffer, %ecx the length.
drain:
    mov {seen}, %si
    cmp USED_INDEX, %si
    je drained
    and $MASK, %si
    shl $3, %si
    mov USED_RING(%si), %bp
    mov USED_RING + 4(%si), %ecx

# The sum of what follows the header, rotated for each byte, so that their order counts.
    mov %bp, %si
    shl $4, %si
    mov {desc}(%si), %eax
    shr $4, %eax
    mov %ax, %es
    mov ${header}, %si
    sub ${header}, %cx
    xor %eax, %eax
add_up:
    rol $1, %eax
    movzbl %es:(%si), %edx
    add %edx, %eax
    inc %si
    loop add_up
    mov ${port_sum}, %dx
    out %eax, %dx
    incw {seen}
    incl {count}

# Post the buffer again, and kick if the device asks for it: by its event index, or by its flags.
    mov AVAIL_INDEX, %bx
    mov %bx, %si
    and $MASK, %si
    add %si, %si
    mov %bp, AVAIL_RING(%si)
    mov %bx, %ax
    inc %bx
    mov %bx, AVAIL_INDEX
    lock orw $0, {count}
    testb ${event_idx}, {flags}
    jz by_flags
    cmp AVAIL_EVENT, %ax
    jne drain
    jmp kick
by_flags:
    testb $1, {used}
    jnz drain
kick:
    mov ${port_kick}, %dx
    xor %ax, %ax
    out %ax, %dx
    jmp drain

# Ask for the next interrupt, and look once more before believing that it will come.
drained:
    testb ${event_idx}, {flags}
    jz done
    mov {seen}, %si
    mov %si, USED_EVENT
    lock orw $0, {count}
    cmp USED_INDEX, %si
    jne drain
done:
    mov {count}, %eax
    mov ${port_count}, %dx
    out %eax, %dx
    mov $0x20, %al
    out %al, $0x20
    pop %es
    popal
    iret

netrx_guest_end:
    .code64
    .text
