"""What tests of integrations and extensions need: a clock to set, factories, contract suites."""
