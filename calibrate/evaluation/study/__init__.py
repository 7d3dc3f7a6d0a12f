"""The paper's comparison on anyone's sessions."""
