"""What the pages' stylesheet is made of: USWDS as it was published, our own rules, and the program that joins them."""
