# keys.pl FILE OUT: a daemon.json without the keys that Docker 28.5 does not know, or that it is given as a flag, to OUT;
# to stdout these and what else the stand-in goes by, a line each. Takes nothing out but keys of the outermost object.
use strict;
use warnings;

my ($file, $out) = @ARGV;
my %taken = map { $_ => 1 } qw(firewall-backend bridge-accept-fwmark ip-forward);
my %told = (%taken, 'allow-direct-routing' => 1);
my $string = qr/"(?:[^"\\]|\\.)*"/;
my $value = qr/(?<v>\{(?:\s*$string\s*:\s*(?&v)\s*,?)*\s*\}|\[(?:\s*(?&v)\s*,?)*\s*\]|$string|[^\s,\]\}\{\["]+)/;

open(my $in, '<', $file) or die "$file: $!\n";
my $text = do { local $/; <$in> };
if ($text =~ /\A\s*\{(.*)\}\s*\z/s) {
    my ($inner, @kept) = ($1);
    while ($inner =~ /\G\s*"([^"\\]*)"\s*:\s*$value\s*(?:,|\z)/gc) {
        my ($key, $said) = ($1, $+{v});
        push @kept, "\"$key\": $said" unless $taken{$key};
        $said =~ s/\A"(.*)"\z/$1/;
        print "$key $said\n" if $told{$key};
    }
    # What is no JSON is left to Docker to refuse.
    $text = '{' . join(', ', @kept) . '}' if $inner =~ /\G\s*\z/;
}
open(my $to, '>', $out) or die "$out: $!\n";
print {$to} $text;
