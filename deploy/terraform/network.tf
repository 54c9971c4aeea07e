# Brokers and databases: reached from the cluster's nodes, at their own ports, and from nowhere else.
locals {
  doors = {
    kafka    = 9096
    aurora   = 5432
    redshift = 5439
  }
}

resource "aws_security_group" "store" {
  for_each    = local.doors
  name        = "${var.name}-${each.key}"
  description = "Meterway: ${each.key} from the nodes"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "from_nodes" {
  for_each                     = local.doors
  security_group_id            = aws_security_group.store[each.key].id
  referenced_security_group_id = var.node_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}
