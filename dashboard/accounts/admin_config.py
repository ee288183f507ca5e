"""Which site the admin app runs: a module of its own, as apps are configured before models can be imported."""

from django.contrib.admin.apps import AdminConfig


class DeskAdminConfig(AdminConfig):
    default_site = "dashboard.accounts.admin_site.DeskAdminSite"
