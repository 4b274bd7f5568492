"""Running the tests of rules through the deciding code of the daemon, on a clock of their own."""
