"""Name the systems that tasks speak of, and the words that stand for one."""

from collections.abc import Mapping
from types import MappingProxyType

_NAMED = """
    activemq airbyte airflow akamai algolia amplitude ansible argocd asana athena atlassian aurora
    auth0 aws azure backstage basecamp bigquery bigtable bitbucket braze cassandra celonis ceph
    circleci clickhouse cloudflare cockroachdb cognos collibra confluence consul couchbase
    crowdstrike dagster databricks datadog datahub dataflow dataproc datev dbt debezium
    docusign dremio dropbox druid dynamodb elasticsearch entra etcd exchange fivetran flink
    freshdesk gcp gerrit github gitlab gmail grafana greenplum hadoop hbase hdfs heroku hive
    hubspot iceberg impala influxdb informatica intercom istio jaeger jenkins jira kafka keycloak
    kibana kinesis kong kubernetes ldap linkedin logstash loki looker luigi magento mailchimp
    mariadb marketo matillion memcached metabase minio mixpanel mlflow mongodb mulesoft mysql nats
    neo4j netlify netsuite newrelic nifi notion okta openai openshift opensearch openstack
    opsgenie oracle orchestra outlook pagerduty paypal pinecone pipedrive postgres prefect presto
    prometheus pulsar qlik quickbooks quicksight rabbitmq redis redshift sagemaker salesforce sap
    segment sendgrid sentry servicenow sharepoint shopify slack snowflake snowpipe solr spark
    splunk sqs stripe superset synapse tableau talend tempo teradata thanos trello trino twilio
    vault vercel vertica vertex vmware weaviate workday xero zapier zendesk zookeeper zuora
"""

_SPELLINGS = {
    "postgresql": "postgres",
    "psql": "postgres",
    "pg": "postgres",
    "k8s": "kubernetes",
    "eks": "kubernetes",
    "gke": "kubernetes",
    "aks": "kubernetes",
    "kubectl": "kubernetes",
    "mongo": "mongodb",
    "elastic": "elasticsearch",
    "powerbi": "power bi",
    "dlt": "dlthub",
    "dlthub": "dlthub",
    "s3": "aws",
    "ec2": "aws",
    "lambda": "aws",
    "cloudwatch": "aws",
    "cloudtrail": "aws",
    "msk": "kafka",
    "mssql": "sql server",
    "jenkinsfile": "jenkins",
    "pyspark": "spark",
    "office365": "microsoft 365",
    "o365": "microsoft 365",
    "sfdc": "salesforce",
    "snow": "snowflake",
}

SYSTEMS: Mapping[str, str] = MappingProxyType(
    {**{name: name for name in _NAMED.split()}, **_SPELLINGS}
)
"""Spellings of products that are operated by themselves, and the system each stands for."""

SYSTEM_PAIRS: Mapping[str, str] = MappingProxyType(
    {
        "power bi": "power bi",
        "sql server": "sql server",
        "google cloud": "gcp",
        "google ads": "google ads",
        "google workspace": "google workspace",
        "google analytics": "google analytics",
        "active directory": "active directory",
        "new relic": "newrelic",
        "microsoft 365": "microsoft 365",
        "alibaba cloud": "alibaba cloud",
    }
)
"""The same of two words."""

_KINDS = """
    backend billing broker cache carriers cdn cms crm datalake dwh edr eld erp frontend gateway hris
    historian idp ingestion inventory lakehouse ledger lms mainframe mes middleware
    payroll pim plc plcs pos queue scada siem tills tms warehouse webshop wms
"""
SYSTEM_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in _KINDS.split()},
        "warehouses": "warehouse",
        "queues": "queue",
        "gateways": "gateway",
        "caches": "cache",
        "database": "database",
        "databases": "database",
        "db": "database",
        "postgresdb": "database",
        "bank": "bank",
        "shop": "webshop",
        "website": "website",
        "dashboards": "dashboard",
        "crms": "crm",
    }
)
"""Words for a kind of system, and what each is counted as."""
