# The survey: looks from this host at the others, and changes nothing that lasts.
#   listen  hold the ports that Kubernetes will need, for seconds; say which could be held, and by which process
#   ask     try the listeners of the other hosts, the endpoint, the registries and the disk
#   end     end the listeners
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

listener() {
  cat <<'PERL'
use strict; use Socket qw(:all); use POSIX ();
my ($name, $address, $seconds, @ports) = @ARGV;
my $v6 = $address =~ /:/;
my (%tcp, %udp);
for (@ports) {
  my ($protocol, $port) = split m{/};
  my $tcp = $protocol eq "tcp";
  my $where = $v6 ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address))
    : pack_sockaddr_in($port, inet_pton(AF_INET, $address));
  socket(my $socket, $v6 ? AF_INET6 : AF_INET, $tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or next;
  setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) if $tcp;
  if (bind($socket, $where) && (!$tcp || listen($socket, 1024))) {
    print "bound\t$_\n";
    if ($tcp) { $tcp{fileno $socket} = $socket } else { $udp{fileno $socket} = $socket }
  } else { print "held\t$_\t$!\n" }
}
defined(my $child = fork) or die "fork: $!";
if ($child) { print "pid\t$child\n"; exit 0 }
POSIX::setsid();
open STDIN, "<", "/dev/null"; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null";
$0 = "clusterctl-look";
$SIG{PIPE} = "IGNORE";
alarm $seconds;
while (1) {
  my $wanted = "";
  vec($wanted, $_, 1) = 1 for keys %tcp, keys %udp;
  next if select(my $ready = $wanted, undef, undef, undef) < 1;
  for (grep vec($ready, $_, 1), keys %tcp) {
    if (accept(my $peer, $tcp{$_})) { syswrite $peer, "clusterctl $name\n"; shutdown $peer, 1; close $peer }
  }
  for (grep vec($ready, $_, 1), keys %udp) {
    my $from = recv($udp{$_}, my $data, 65536, 0);
    send($udp{$_}, "clusterctl " . length($data) . " $name\n", 0, $from) if defined $from && $data =~ /^clusterctl/;
  }
}
PERL
}

questions() {
  cat <<'PERL'
use strict; use Socket qw(:all); use Fcntl; use Errno qw(EINPROGRESS ECONNREFUSED); use IO::Handle; use Time::HiRes qw(time);
$| = 1;
my ($machine) = @ARGV;
my ($tcp_seconds, @rounds) = (2.5, 0, 0.3, 0.8, 1.3, 1.8);
my $udp_seconds = pop @rounds;
my (@tasks, @disks);
sub at {
  my ($address, $port) = @_;
  return $address =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address))
    : pack_sockaddr_in($port, inet_pton(AF_INET, $address));
}
while (my $line = <STDIN>) {
  chomp $line;
  my ($kind, @words) = split /\t/, $line;
  if ($kind eq "fsync") { push @disks, @words; next }
  my %task = (kind => $kind, peer => $words[0], address => $words[1], port => $words[2], extra => $words[3],
    problem => "no answer", by => "", packet => 0, sent => 0);
  my $v6 = $task{address} =~ /:/;
  my $udp = $kind eq "udp";
  socket($task{socket}, $v6 ? AF_INET6 : AF_INET, $udp ? SOCK_DGRAM : SOCK_STREAM, 0) or die "socket: $!";
  fcntl $task{socket}, F_SETFL, O_NONBLOCK;
  if ($udp) {
    # Every packet goes out whole or not at all, whatever this kernel believes of the way.
    if ($v6) { setsockopt $task{socket}, 41, 23, 3; setsockopt $task{socket}, 41, 62, 1 }
    else { setsockopt $task{socket}, 0, 10, 3 }
    $task{header} = $v6 ? 48 : 28;
  }
  if (!connect($task{socket}, at(@task{qw(address port)})) && $! != EINPROGRESS) {
    @task{qw(problem done)} = ("$!", 1);
  }
  push @tasks, \%task;
}
my $began = time;
while (my @open = grep !$_->{done}, @tasks) {
  my $now = time - $began;
  for my $task (grep $_->{kind} eq "udp", @open) {
    next if $task->{sent} >= @rounds || $now < $rounds[$task->{sent}];
    my @sizes = ($task->{extra}, $task->{header} + 12);
    push @sizes, grep $_ < $task->{extra},
      8950, 8900, 1500, 1492, 1480, 1460, 1450, 1440, 1430, 1420, 1410, 1400, 1390, 1380, 1370, 1350, 1300, 1280, 1200
      if $task->{sent}++;
    send $task->{socket}, "clusterctl\n" . "." x ($_ - $task->{header} - 11), 0 for @sizes;
  }
  my ($read, $write) = ("", "");
  for (@open) {
    if ($_->{kind} eq "udp" || $_->{connected}) { vec($read, fileno $_->{socket}, 1) = 1 }
    else { vec($write, fileno $_->{socket}, 1) = 1 }
  }
  select($read, $write, undef, 0.05);
  for my $task (@open) {
    my $number = fileno $task->{socket};
    if ($task->{kind} eq "udp") {
      while (vec($read, $number, 1)) {
        my $data;
        if (!defined recv($task->{socket}, $data, 2048, 0)) {
          $task->{problem} = "$!" if $! == ECONNREFUSED && $task->{problem};
          last;
        }
        last unless $data =~ /^clusterctl (\d+) (\S*)/;
        my $packet = $1 + $task->{header};
        @$task{qw(problem by)} = ("", $2);
        $task->{packet} = $packet if $packet > $task->{packet};
      }
      $task->{done} = 1 if $task->{packet} >= $task->{extra} || $now > $udp_seconds;
    } elsif (!$task->{connected} && vec($write, $number, 1)) {
      my $error = unpack "i", getsockopt($task->{socket}, SOL_SOCKET, SO_ERROR);
      if ($error) { $! = $error; @$task{qw(problem done)} = ("$!", 1) }
      else { @$task{qw(problem connected by)} = ("", 1, $task->{extra} ? "?" : ""); $task->{done} = 1 unless $task->{extra} }
    } elsif ($task->{connected} && vec($read, $number, 1)) {
      my $got = sysread $task->{socket}, my $data, 256;
      $task->{by} = defined $got && $data =~ /^clusterctl (\S+)/ ? $1 : $got ? "?" : "-";
      $task->{done} = 1;
    }
    $task->{done} = 1 if $now > $tcp_seconds;
  }
}
for (@tasks) {
  my $wanted = $_->{kind} eq "udp" ? $_->{extra} : 0;
  my $name = $_->{kind} eq "endpoint" ? $_->{address} : $_->{peer};
  print join("\t", $_->{kind}, $name, @$_{qw(port problem by packet)}, $wanted), "\n";
}
# As etcd's log does: small appends to a file that has its size already, each made durable by fdatasync.
for my $folder (@disks) {
  my $file = "$folder/.clusterctl-fsync.$$";
  sysopen(my $disk, $file, O_RDWR | O_CREAT | O_EXCL, 0600) or next;
  unlink $file;
  my $call = {x86_64 => 75, aarch64 => 83}->{$machine};
  my $flush = sub { defined $call ? syscall($call, fileno $disk) == 0 : $disk->sync };
  syswrite $disk, "\0" x (2048 * 100);
  $flush->() or next;
  sysseek $disk, 0, 0;
  my ($start, @took) = (time);
  while (@took < 100 && time - $start < 0.8) {
    my $before = time;
    syswrite $disk, "x" x 2048;
    $flush->() or last;
    push @took, 1000 * (time - $before);
  }
  next unless @took;
  @took = sort {$a <=> $b} @took;
  printf "fsync\t%d\t%.2f\t%.2f\n", scalar @took, $took[@took / 2], $took[int(0.99 * $#took + 0.5)];
}
PERL
}

# registry NAME URL... says whether one of the addresses answers as a registry does: with any status but an error of its own.
registry() {
  name=$1 problem='curl is not installed'
  shift
  if command -v curl >/dev/null; then
    problem=
    for url in "$@"; do
      if said=$(curl -sSkL --max-time 8 -o /dev/null -w '%{http_code}' "$url/v2/" 2>&1) && test "$said" -lt 500; then
        problem=
        break
      fi
      problem="${problem:+$problem; }$url: $(printf '%s' "${said%000}" | tr -s '\n\t' ' ' | sed 's/ $//')"
    done
  fi
  printf 'registry\t%s\t%s\n' "$name" "$problem"
}

# neighbour ADDRESS tells who has an address of the local network: that machine answers whatever its firewall says.
neighbour() {
  echo clusterctl 2>/dev/null >"/dev/udp/$1/9"
  sleep 1
  ip neigh show to "$1" | awk '/REACHABLE/ {for (i = 1; i < NF; i++) if ($i == "lladdr") print "virtual-ip\t" $(i + 1)}'
}

main() {
  if ! command -v perl >/dev/null; then echo 'perl is not installed' >&2; exit 3; fi
  for pid in 42; do
    if test "$(cat "/proc/$pid/comm" 2>/dev/null)" = clusterctl-look; then kill "$pid"; fi
  done
}
main </dev/null
