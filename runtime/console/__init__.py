"""What every command shares: exit codes, tables, progress bars, quantities with units, counts in words."""
