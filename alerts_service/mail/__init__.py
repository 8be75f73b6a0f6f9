"""Mail: words and links (compose), bytes once for all recipients (encode), the dialogue with a relay (relay).

Takes plain values only: no model, no request, no clock.
"""
