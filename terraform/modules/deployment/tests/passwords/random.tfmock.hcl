mock_resource "random_password" {
  defaults = { result = "password" }
}
