"""Pure rules: functions and frozen dataclasses that know no database, no framework and no clock."""
