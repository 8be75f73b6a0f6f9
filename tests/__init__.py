"""The tests: rules, services, mail, web, commands and scheduler, whole journeys, and a real browser."""
