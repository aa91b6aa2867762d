"""What stands behind `fastnn train`, `fastnn evaluate` and so on: flags, settings, run folders, and the work itself."""
