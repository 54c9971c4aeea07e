resource "aws_db_subnet_group" "aurora" {
  name       = var.name
  subnet_ids = var.subnet_ids
  tags       = var.tags
}

# Register (database metadata) and Iceberg catalog (database iceberg). RDS keeps the owner's password in Secrets Manager;
# the services' own users are made by the migrations of `metadata`.
resource "aws_rds_cluster" "aurora" {
  cluster_identifier              = var.name
  engine                          = "aurora-postgresql"
  engine_version                  = "16.6"
  database_name                   = "metadata"
  master_username                 = "meterway_owner"
  manage_master_user_password     = true
  storage_encrypted               = true
  kms_key_id                      = aws_kms_key.main.arn
  db_subnet_group_name            = aws_db_subnet_group.aurora.name
  vpc_security_group_ids          = [aws_security_group.store["aurora"].id]
  backup_retention_period         = 14
  deletion_protection             = true
  copy_tags_to_snapshot           = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
  final_snapshot_identifier       = "${var.name}-last"
  tags                            = var.tags

  serverlessv2_scaling_configuration {
    min_capacity = 0.5
    max_capacity = var.aurora_max_capacity
  }
}

resource "aws_rds_cluster_instance" "aurora" {
  count              = 2
  identifier         = "${var.name}-${count.index}"
  cluster_identifier = aws_rds_cluster.aurora.id
  engine             = aws_rds_cluster.aurora.engine
  engine_version     = aws_rds_cluster.aurora.engine_version
  instance_class     = "db.serverless"
  promotion_tier     = count.index
  tags               = var.tags
}

resource "aws_redshiftserverless_namespace" "warehouse" {
  namespace_name        = var.name
  db_name               = "warehouse"
  admin_username        = "meterway_owner"
  manage_admin_password = true
  kms_key_id            = aws_kms_key.main.arn
  iam_roles             = [aws_iam_role.redshift.arn]
  log_exports           = ["userlog", "connectionlog"]
  tags                  = var.tags
}

resource "aws_redshiftserverless_workgroup" "warehouse" {
  namespace_name       = aws_redshiftserverless_namespace.warehouse.namespace_name
  workgroup_name       = var.name
  base_capacity        = var.redshift_base_capacity
  enhanced_vpc_routing = true
  publicly_accessible  = false
  subnet_ids           = var.subnet_ids
  security_group_ids   = [aws_security_group.store["redshift"].id]
  tags                 = var.tags

  config_parameter {
    parameter_key   = "require_ssl"
    parameter_value = "true"
  }
}
