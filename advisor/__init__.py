"""The advisor: receives windows, scores nodes, recommends changes and checks them."""
