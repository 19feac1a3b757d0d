# keys.pl FILE OUT: writes a daemon.json to OUT without the keys that Docker 28.5 does not know or receives as a flag, and
# prints the keys that dockerd.sh and ruleset.sh use, one per line. Removes only keys of the outermost object.
use strict;
use warnings;

my ($file, $out) = @ARGV;
my %removed = map { $_ => 1 } qw(firewall-backend bridge-accept-fwmark ip-forward);
my %printed = (%removed, 'allow-direct-routing' => 1);
my $string = qr/"(?:[^"\\]|\\.)*"/;
my $value = qr/(?<v>\{(?:\s*$string\s*:\s*(?&v)\s*,?)*\s*\}|\[(?:\s*(?&v)\s*,?)*\s*\]|$string|[^\s,\]\}\{\["]+)/;

open(my $in, '<', $file) or die "$file: $!\n";
my $text = do { local $/; <$in> };
if ($text =~ /\A\s*\{(.*)\}\s*\z/s) {
    my ($inner, @kept) = ($1);
    while ($inner =~ /\G\s*"([^"\\]*)"\s*:\s*$value\s*(?:,|\z)/gc) {
        my ($key, $setting) = ($1, $+{v});
        push @kept, "\"$key\": $setting" unless $removed{$key};
        $setting =~ s/\A"(.*)"\z/$1/;
        print "$key $setting\n" if $printed{$key};
    }
    # Docker itself rejects a file that is not JSON.
    $text = '{' . join(', ', @kept) . '}' if $inner =~ /\G\s*\z/;
}
open(my $to, '>', $out) or die "$out: $!\n";
print {$to} $text;
