# Sends all probes of a row from one process. Runs with perl alone, without a module: modules cost more than all packets.
#
# perl -e PROGRAM NONCE PID COUNT DELAY_MS, with lines "INDEX host|container ADDRESS PAYLOAD ID" on stdin. NONCE is in
# hexadecimal, and PID has the network namespace of the container. IPv6 addresses have all their digits. PAYLOAD is that of
# a full-size packet in bytes, or 0 for small packets only. ID is the ICMP id of the probe.
#
# Prints a line per probe: INDEX SENT RECEIVED TTL MIN AVERAGE MAX FULL_SIZE PATH_MTU ERROR, with "-" for an unknown value.
# The round trips are in microseconds. FULL_SIZE is "passed", "lost" or "local" (the kernel of the source rejects the
# size). ERROR is "icmp ADDRESS TYPE CODE" or "send MESSAGE".
#
# Exit status 3, before it reads stdin: the kernel or the rights do not suffice.
use strict;

my ($nonce, $pid, $count, $delay_ms) = @ARGV;
$nonce = pack "H16", $nonce;
# A lost packet is repeated after GAP seconds. After TRIES packets of full size, small ones follow. The last packet gets
# LAST seconds. WINDOW is the number of first packets that wait for a reply, so that replies fit into the receive buffer.
my ($GAP, $TRIES, $LAST, $WINDOW, $SMALL) = (0.2, 3, 1, 32, 56);
# The most packets to read before timers run: a flood must not delay the end.
my $BURST = 256;
my ($EPERM, $EAGAIN, $EMSGSIZE, $ENOBUFS) = (1, 11, 90, 105);

# The numbers of clock_gettime, recvmsg and setns, by the machine in the ELF header of a 64-bit perl.
my %NUMBERS = (62 => [228, 47, 308], 183 => [113, 212, 268]);
open my $exe, "<", "/proc/self/exe" or exit 3;
read $exe, my $elf, 20;
my ($class, $machine) = unpack "x4 C x13 S", $elf;
exit 3 unless $class == 2 && $NUMBERS{$machine};
my ($CLOCK_GETTIME, $RECVMSG, $SETNS) = @{$NUMBERS{$machine}};

# The kernel writes to these buffers. The assignments to elements give the strings buffers of their own.
my ($timespec, $buffer, $control, $name) = map { "\0" x $_ } 16, 512, 64, 28;
vec($_, 0, 8) = 0 for $timespec, $buffer, $control, $name;

my (@queue, @timers, @ends);
my ($waiting, $left) = (0, 0);

sub now {
  syscall $CLOCK_GETTIME, 1, $timespec;
  my ($seconds, $nanoseconds) = unpack "q2", $timespec;
  return $seconds + $nanoseconds / 1e9;
}

# The raw sockets of the current network namespace, by the length of an address. Their filters pass replies and errors.
sub open_sockets {
  my %sockets;
  if (socket my $four, 2, 3, 1) {
    setsockopt $four, 255, 1, pack "L", 0xffffffff & ~(1 << 0 | 1 << 3 | 1 << 11);
    setsockopt $four, 0, 10, pack "i", 3;
    $sockets{4} = {handle => $four, family => 4};
  }
  if (socket my $six, 10, 3, 58) {
    setsockopt $six, 58, 1, pack "L8", 0xffffffff & ~(1 << 1 | 1 << 2 | 1 << 3), (0xffffffff) x 3,
      0xffffffff & ~(1 << 1), (0xffffffff) x 3;
    setsockopt $six, 41, 23, pack "i", 3;
    setsockopt $six, 41, 51, pack "i", 1;
    $sockets{16} = {handle => $six, family => 6};
  }
  setsockopt $_->{handle}, 1, 33, pack "i", 1 << 20 for values %sockets;
  return \%sockets;
}

# The sockets of the container; a message if its namespace cannot be entered.
sub open_container {
  open my $own, "<", "/proc/self/ns/net" or return "cannot open /proc/self/ns/net: $!";
  open my $other, "<", "/proc/$pid/ns/net" or return "cannot open /proc/$pid/ns/net: $!";
  syscall($SETNS, fileno $other, 0x40000000) == 0 or return "cannot enter the container: $!";
  my $sockets = open_sockets();
  syscall($SETNS, fileno $own, 0x40000000) == 0 or die "cannot leave the container: $!\n";
  return $sockets;
}

sub read_row {
  my ($host) = @_;
  my $container;
  while (<STDIN>) {
    my ($index, $where, $text, $payload, $id) = split;
    my $address = $text =~ /:/ ? pack "H32", $text =~ tr/://dr : pack "C4", split /\./, $text;
    my $six = length $address == 16;
    my %probe = (index => $index, id => $id, address => $address, payload => $payload);
    @probe{"times", "rtts", "replied"} = ([], [], {});
    $probe{small_from} = 0 unless $payload;
    $probe{to} = $six ? pack "S n N a16 N", 10, 0, 0, $address, 0 : pack "S n a4 x8", 2, 0, $address;
    my $sockets = $where eq "host" ? $host : $container ||= open_container();
    $probe{problem} = $sockets unless ref $sockets;
    push @queue, \%probe;
    my $socket = ref $sockets ? $sockets->{length $address} : undef or next;
    $probe{socket} = $socket;
    $socket->{probes}{$id} = \%probe;
  }
}

sub send_next {
  my ($probe) = @_;
  my ($times, $socket) = @$probe{"times", "socket"};
  my $number = @$times;
  $probe->{small_from} = $number if !defined $probe->{small_from} && $number >= $TRIES && !$probe->{passed};
  my $small = defined $probe->{small_from} && !$probe->{passed};
  my $six = $socket->{family} == 6;
  my $head = pack "C2 n n2 a8", $six ? 128 : 8, 0, 0, $probe->{id}, $number, $nonce;
  # The kernel computes the checksum of ICMPv6.
  if (!$six) {
    my $sum = unpack "%32n*", $head;
    $sum = ($sum & 0xffff) + ($sum >> 16) for 1, 2;
    substr $head, 2, 2, pack "n", 0xffff & ~$sum;
  }
  my $packet = pack "a" . (8 + ($small ? $SMALL : $probe->{payload})), $head;
  my $time = now();
  if (!defined send $socket->{handle}, $packet, 0x40, $probe->{to}) {
    if ($! == $EMSGSIZE && !$small) {
      @$probe{"rejected", "small_from"} = (1, $number);
      return send_next($probe);
    }
    # A firewall of the host that drops the packet is a loss, like a full queue.
    if ($! != $EPERM && $! != $EAGAIN && $! != $ENOBUFS) {
      $probe->{problem} = $!;
      return end($probe);
    }
  }
  push @$times, $time;
  push @timers, [$time + $GAP, $probe, $number];
}

sub start {
  my ($probe) = @_;
  if (!$probe->{problem} && !$probe->{socket}) { $probe->{problem} = "no raw socket for the address family" }
  $left++;
  return end($probe) if $probe->{problem};
  $waiting++;
  $probe->{first} = 1;
  send_next($probe);
  # Replies are read between the packets, because their time is that of the reading.
  receive($probe->{socket});
}

# The first packet of the probe has a reply, or its time is over: another probe can start.
sub release {
  my ($probe) = @_;
  $waiting-- if delete $probe->{first};
}

# The number of packets that the probe sends in all.
sub wanted {
  my ($probe) = @_;
  return (uncounted($probe)) + $count if @{$probe->{rtts}};
  return $count > $TRIES ? $count : $TRIES + 1;
}

# The number of lost packets of full size that say nothing about the loss of packets.
sub uncounted {
  my ($probe) = @_;
  return $probe->{passed} ? 0 : $probe->{small_from} || 0;
}

sub end {
  my ($probe, $sent) = @_;
  release($probe);
  $probe->{ended} = 1;
  $left--;
  my @rtts = sort { $a <=> $b } @{$probe->{rtts}};
  $sent = @{$probe->{times}} unless defined $sent;
  my ($full, @trips) = ("-", ("-") x 3);
  if (@rtts) {
    my $sum = 0;
    $sum += $_ for @rtts;
    @trips = map { sprintf "%.0f", $_ * 1e6 } $rtts[0], $sum / @rtts, $rtts[-1];
    $sent -= uncounted($probe);
    $full = $probe->{passed} ? "passed" : $probe->{rejected} ? "local" : "lost" if $probe->{payload};
  }
  my $error = $probe->{problem} ? "send $probe->{problem}" : $probe->{icmp} ? "icmp $probe->{icmp}" : "-";
  my @known = map { defined $_ ? $_ : "-" } @$probe{"ttl", "path_mtu"};
  print join(" ", $probe->{index}, $sent, scalar @rtts, $known[0], @trips, $full, $known[1], $error), "\n";
}

sub reply {
  my ($probe, $number, $ttl) = @_;
  my $sent = @{$probe->{times}};
  return if $number >= $sent || $probe->{replied}{$number}++;
  push @{$probe->{rtts}}, now() - $probe->{times}[$number];
  $probe->{ttl} = $ttl unless defined $probe->{ttl};
  $probe->{passed} = 1 if $probe->{payload} && (!defined $probe->{small_from} || $number < $probe->{small_from});
  release($probe);
  # A later packet had no time for its reply, so it is not lost.
  return end($probe, $number + 1) if $count == 1;
  end($probe) if $sent >= wanted($probe) && @{$probe->{rtts}} == $sent - uncounted($probe);
}

sub icmp_error {
  my ($probe, $from, $type, $code, $mtu) = @_;
  if (defined $mtu) {
    return if defined $probe->{small_from} || $probe->{passed};
    @$probe{"path_mtu", "small_from"} = ($mtu, scalar @{$probe->{times}});
    return send_next($probe);
  }
  my $address = join length $from == 4 ? "." : ":", unpack length $from == 4 ? "C4" : "(H4)8", $from;
  $probe->{icmp} = "$address $type $code" unless $probe->{icmp};
}

# The probe of an echo packet that this process sent or that replies to it; undef for others.
sub probe_of {
  my ($socket, $id, $address) = @_;
  my $probe = $socket->{probes}{$id};
  return $probe && !$probe->{ended} && $probe->{address} eq $address ? $probe : undef;
}

# A message that starts with its ICMP header, from an address.
sub message {
  my ($socket, $from, $ttl, $message) = @_;
  my ($type, $code, $id, $number, $echoed) = unpack "C2 x2 n2 a8", $message;
  my $six = $socket->{family} == 6;
  if ($type == ($six ? 129 : 0)) {
    my $probe = length $message < 16 || $echoed ne $nonce ? undef : probe_of($socket, $id, $from);
    reply($probe, $number, $ttl) if $probe;
    return;
  }
  # The packet that caused the error follows: its IP header, then its ICMP header.
  my $header = $six ? 40 : 4 * (15 & ord substr $message, 8, 1);
  return if length $message < 8 + $header + 8 || $header < 20;
  my ($protocol, $to) = unpack $six ? "x6 C x17 a16" : "x9 C x6 a4", substr $message, 8, $header;
  my ($inner, $inner_id) = unpack "C x3 n", substr $message, 8 + $header, 8;
  return unless $protocol == ($six ? 58 : 1) && $inner == ($six ? 128 : 8);
  my $probe = probe_of($socket, $inner_id, $to) or return;
  my $too_big = $six ? $type == 2 : $type == 3 && $code == 4;
  my $mtu = $too_big ? unpack $six ? "x4 N" : "x6 n", $message : undef;
  icmp_error($probe, $from, $type, $code, $mtu);
}

sub receive {
  my ($socket) = @_;
  for (1 .. $BURST) {
    if ($socket->{family} == 4) {
      defined recv $socket->{handle}, my $packet, 512, 0x40 or return;
      next if length $packet < 28;
      my $header = 4 * (15 & ord $packet);
      next if length $packet < $header + 8;
      message($socket, substr($packet, 12, 4), ord substr($packet, 8, 1), substr $packet, $header);
    } else {
      my $vector = pack "P Q", $buffer, length $buffer;
      my $request = pack "P L x4 P Q P Q i x4", $name, length $name, $vector, 1, $control, length $control, 0;
      my $length = syscall $RECVMSG, fileno $socket->{handle}, $request, 0x40;
      return if $length < 0;
      next if $length < 8;
      # The only control message is the hop limit.
      my ($level, $kind, $ttl) = unpack "x8 i3", $control;
      next unless $level == 41 && $kind == 52;
      message($socket, substr($name, 8, 16), $ttl & 255, substr $buffer, 0, $length < 512 ? $length : 512);
    }
  }
}

sub run_timers {
  my $time = now();
  while (@timers && $timers[0][0] <= $time) {
    my (undef, $probe, $number) = @{shift @timers};
    release($probe) if $number == 0;
    next if $probe->{ended} || $number != $#{$probe->{times}};
    if (@{$probe->{times}} < wanted($probe)) {
      send_next($probe);
      receive($probe->{socket});
    } else {
      push @ends, [$time + $LAST - $GAP, $probe];
    }
  }
  while (@ends && $ends[0][0] <= $time) {
    my (undef, $probe) = @{shift @ends};
    end($probe) unless $probe->{ended};
  }
}

my $host = open_sockets();
exit 3 unless $host->{4};
read_row($host);
select undef, undef, undef, $delay_ms / 1000;
my %sockets = map { ($_ => $_) } grep { $_ } map { $_->{socket} } @queue;
my @sockets = values %sockets;
my $bits = "";
vec($bits, fileno $_->{handle}, 1) = 1 for @sockets;
while (@queue || $left) {
  start(shift @queue) while @queue && $waiting < $WINDOW;
  my ($next) = sort { $a <=> $b } map { $_->[0][0] } grep { @$_ } \@timers, \@ends;
  last unless defined $next;
  my $rest = $next - now();
  if (select(my $ready = $bits, undef, undef, $rest > 0 ? $rest : 0) > 0) {
    vec($ready, fileno $_->{handle}, 1) && receive($_) for @sockets;
  }
  run_timers();
}
