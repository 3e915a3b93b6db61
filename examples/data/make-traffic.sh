#!/bin/sh
# Makes traffic.pcapng: real traffic between two network namespaces joined by a veth pair, seen from one of them.
#
#   1. need_tools   install what is missing (Debian packages)
#   2. make_link    two namespaces, one veth pair, documentation addresses, locally administered MACs
#   3. capture      tcpdump in the client's namespace, whole frames, started before the link has a carrier
#   4. small        ping, DNS, HTTP, with checksums computed by the stack: frames of at most 1514 bytes
#   5. large        HTTP with segmentation offload: frames of up to 64 KiB
#   6. convert      classic pcap to pcapng without options that describe the machine
#   7. check, table what the file must hold, and what it holds
#
# Usage: make-traffic.sh [OUTPUT]      (OUTPUT defaults to traffic.pcapng beside this script)
# Needs root, Linux with network namespaces and veth; nothing leaves the namespaces.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/traffic.pcapng}
max_bytes=1048576
min_giants=6

client=netrx-cl-$$
server=netrx-sv-$$
client4=192.0.2.1
server4=192.0.2.2
client6=2001:db8::1
server6=2001:db8::2
client_mac=02:00:00:00:00:01
server_mac=02:00:00:00:00:02

work=
tcpdump_pid=
server_pids=

fail() {
    echo "make-traffic: $*" >&2
    exit 1
}

cleanup() {
    trap - EXIT HUP INT TERM
    for pid in $tcpdump_pid $server_pids; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    for ns in "$client" "$server"; do
        ip netns del "$ns" 2>/dev/null || true
    done
    [ -z "$work" ] || rm -rf "$work"
}

# ---- 1. tools

need_tools() {
    packages=
    while read -r tool package; do
        command -v "$tool" >/dev/null 2>&1 || packages="$packages $package"
    done <<-LIST
	ip iproute2
	ethtool ethtool
	tcpdump tcpdump
	editcap wireshark-common
	tshark tshark
	ping iputils-ping
	dig bind9-dnsutils
	dnsmasq dnsmasq-base
	curl curl
	python3 python3
	sysctl procps
	LIST
    [ -n "$packages" ] || return 0
    command -v apt-get >/dev/null 2>&1 || fail "missing tools and no apt-get; install the equivalent of:$packages"
    # shellcheck disable=SC2086 # a list of names, split on purpose
    install_packages $packages || { apt-get -q update >&2 && install_packages $packages; } ||
        fail "apt-get could not install:$packages"
}

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >&2
}

# ---- 2. link

# For commands that end by themselves; what runs in the background is started without them, so that $! is its own pid.
in_client() { ip netns exec "$client" "$@"; }
in_server() { ip netns exec "$server" "$@"; }

make_link() {
    for ns in "$client" "$server"; do
        ip netns add "$ns" 2>/dev/null || fail "cannot make a network namespace (no kernel support, or no privilege)"
    done
    ip -n "$client" link add veth0 address "$client_mac" type veth \
        peer name veth0 address "$server_mac" netns "$server" 2>/dev/null ||
        fail "cannot make a veth pair (kernel module veth?)"
    address "$client" "$client4/24" "$client6/64"
    address "$server" "$server4/24" "$server6/64"
    # A receive window that never holds a large frame back.
    in_client sysctl -q -w net.ipv4.tcp_rmem='4096 1048576 6291456'
    ip -n "$client" link set veth0 up
}

address() {
    ip -n "$1" addr add "$2" dev veth0
    ip -n "$1" addr add "$3" dev veth0 2>/dev/null || fail "cannot set an IPv6 address (IPv6 turned off?)"
}

offload() {
    in_client ethtool -K veth0 tx "$1" tso "$1" >/dev/null
    in_server ethtool -K veth0 tx "$1" tso "$1" >/dev/null
}

# Gives the server's end a carrier: duplicate address detection and multicast reports follow by themselves.
link_up() {
    ip -n "$server" link set veth0 up
    wait_for "IPv6 addresses stayed tentative" no_tentative
}

no_tentative() {
    [ -z "$(ip -n "$client" -6 -o addr show tentative)$(ip -n "$server" -6 -o addr show tentative)" ]
}

# wait_for MESSAGE COMMAND...: ten seconds for COMMAND to succeed.
wait_for() {
    message=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "$message"
        sleep 0.1
    done
}

# ---- 3. capture

# Both files end in "cap" because Debian's AppArmor profile lets tcpdump write to no other name.
# Nanoseconds because some pcapng readers take every timestamp for nanoseconds, whatever the interface's block says.
start_capture() {
    ip netns exec "$client" tcpdump -i veth0 -s 262144 --time-stamp-precision=nano -B 16384 -U -w - \
        >"$work/raw.pcap" 2>"$work/tcpdump-log.cap" &
    tcpdump_pid=$!
    wait_for "tcpdump did not start" grep -q 'listening on' "$work/tcpdump-log.cap"
}

stop_capture() {
    sleep 1 # the last block of the ring
    kill "$tcpdump_pid" # not INT: a shell starts its background commands with INT ignored
    wait "$tcpdump_pid" || fail "tcpdump failed: $(tail -n 1 "$work/tcpdump-log.cap")"
    tcpdump_pid=
    grep -q '^0 packets dropped by kernel' "$work/tcpdump-log.cap" || fail "the kernel dropped frames; run again"
}

# ---- 4. and 5. traffic

body() { seq -f 'netrx sample body, line %07.0f' 1 40000 | head -c "$1" >"$work/www/$1"; }

start_servers() {
    mkdir "$work/www"
    for size in 1 200 600 1000 1400 4000 12000 330000 400000; do body "$size"; done
    ip netns exec "$server" python3 -m http.server --bind :: --directory "$work/www" 80 >/dev/null 2>&1 &
    server_pids="$server_pids $!"
    text=$(seq -s ' ' 1 60)
    ip netns exec "$server" dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --local=/example.org/ \
        --host-record="host.example.org,$server4,$server6" --cname=www.example.org,host.example.org \
        --mx-host=example.org,host.example.org,10 \
        --txt-record="text.example.org,$text,$text,$text,$text,$text" >/dev/null 2>&1 &
    server_pids="$server_pids $!"
    wait_for "the HTTP server did not start" listening :80
    wait_for "the DNS server did not start" listening :53
}

listening() { in_server ss -Hltn "sport = $1" | grep -q .; }

small() {
    for size in 0 1 18 56 200 512 1000 1400 1472 4000; do
        in_client ping -q -n -c 2 -i 0.02 -s "$size" "$server4" >/dev/null
        in_client ping -q -n -c 2 -i 0.02 -s "$size" "$server6" >/dev/null
    done
    names >"$work/names"
    for address in "$server4" "$server6"; do
        in_client dig "@$address" -f "$work/names" +tries=1 +bufsize=4096 >/dev/null
        in_client dig "@$address" -f "$work/names" +tries=1 +tcp +keepopen >/dev/null
    done
    for size in 1 200 600 1000 1400 4000 12000; do
        fetch "$server4" "$size"
        fetch "[$server6]" "$size"
    done
}

names() {
    for name in host www none; do
        echo "$name.example.org A"
        echo "$name.example.org AAAA"
    done
    echo "example.org MX"
    echo "text.example.org TXT"
}

large() {
    fetch "$server4" 400000
    fetch "[$server6]" 330000
}

fetch() {
    in_client curl -sS -f --noproxy '*' -o "$work/got" "http://$1/$2"
    cmp -s "$work/got" "$work/www/$2" || fail "HTTP body of $2 bytes arrived changed"
}

# ---- 6. and 7. the file

convert() {
    editcap -F pcapng "$work/raw.pcap" "$work/traffic.pcapng" || fail "editcap failed"
}

# One line a frame: bytes on the wire, bytes captured, the layers ("eth:ethertype:ipv6:tcp:http"), and for IPv4 the
# more-fragments flag and the fragment's offset.
frames() {
    tshark -n -r "$1" -o ip.defragment:FALSE -o ipv6.defragment:FALSE \
        -T fields -e frame.len -e frame.cap_len -e frame.protocols -e ip.flags.mf -e ip.frag_offset 2>/dev/null
}

check() {
    told=$(capinfos "$work/traffic.pcapng" | grep -E 'oper-sys|hardware|comment|Name =|Description =|Filter' || true)
    [ -z "$told" ] || fail "the file describes this machine: $told"
    bytes=$(wc -c <"$work/traffic.pcapng")
    [ "$bytes" -lt "$max_bytes" ] || fail "the capture has $bytes bytes, over the limit of $max_bytes"
    awk -v least="$min_giants" '
        $1 != $2 { print "frame " NR " is truncated: " $2 " of " $1 " bytes"; exit 1 }
        $1 < 14  { print "frame " NR " is shorter than an Ethernet header"; exit 1 }
        $1 > 60000 { giants++ }
        END { if (giants < least) { print "only " giants + 0 " frames over 60000 bytes; run again"; exit 1 } }
    ' "$work/frames" >"$work/verdict" || fail "$(head -n 1 "$work/verdict")"
}

table() {
    awk -F '\t' '
        function row(kind) {
            printf "| %-14s | %6d | %6d | %7d | %8d | %7d | %6d | %7d |\n", kind, n[kind], tiny[kind], mid[kind],
                full[kind], gso[kind], giant[kind], max[kind]
        }
        function add(kind, len) {
            n[kind]++
            if (len <= 128) tiny[kind]++
            else if (len <= 600) mid[kind]++
            else if (len <= 1514) full[kind]++
            else if (len <= 60000) gso[kind]++
            else giant[kind]++
            if (len > max[kind]) max[kind] = len
        }
        BEGIN {
            print "| kind           | frames | <= 128 | 129-600 | 601-1514 | <= 60 k | > 60 k | largest |"
            print "|----------------|-------:|-------:|--------:|---------:|--------:|-------:|--------:|"
        }
        {
            split($3, layer, ":")
            at = 4
            while (layer[at] == "ipv6.hopopts") at++
            if (layer[3] == "arp") kind = "ARP"
            else {
                ip = layer[3] == "ip" ? "IPv4 " : "IPv6 "
                whole = layer[at] ~ /^(tcp|udp|icmp|icmpv6)$/ && $4 !~ /1|True/ && $5 + 0 == 0
                kind = ip (whole ? toupper(layer[at]) : "fragment")
                sub(/ICMPV6/, "ICMPv6", kind)
            }
            if (!(kind in n)) order[++kinds] = kind
            add(kind, $1)
            add("all", $1)
        }
        END {
            for (i = 1; i <= kinds; i++) row(order[i])
            row("all")
        }
    ' "$work/frames"
}

[ "$(uname -s)" = Linux ] || fail "needs Linux"
[ "$(id -u)" -eq 0 ] || fail "needs root (network namespaces and capturing)"
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
need_tools
work=$(mktemp -d)
make_link
offload off
start_capture
link_up
start_servers
small
offload on
large
stop_capture
convert
frames "$work/traffic.pcapng" >"$work/frames"
check
cp "$work/traffic.pcapng" "$out"
table
echo "$out: $bytes bytes"
